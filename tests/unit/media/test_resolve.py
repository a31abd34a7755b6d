"""The whole way against a real S3 server."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.unit.media.conftest import chat
from tests.unit.media.pictures import jpeg, png

from pronk.domain.bucket import BucketRule
from pronk.domain.errors import MediaError
from pronk.domain.ids import DEFAULT_PROJECT, ProjectId
from pronk.domain.job import MediaPolicy
from pronk.media.resolve import Bounds, Resolver, open_resolver

pytestmark = pytest.mark.anyio
CHAT = "/v1/chat/completions"


@pytest.fixture
async def resolver(aws: str, tmp_path: Path) -> AsyncIterator[Resolver]:
    async with open_resolver(folder=tmp_path / "media", bounds=Bounds(in_flight_bytes=2_000_000)) as resolver:
        yield resolver


async def resolved(resolver: Resolver, *urls: str, **wishes: Any) -> bytes:
    policy = wishes.pop("policy", MediaPolicy())
    project = ProjectId(wishes.pop("project", DEFAULT_PROJECT))
    answer = await resolver.resolve(chat(*urls), endpoint=CHAT, policy=policy, project=project, **wishes)
    answer.close()
    return answer.body


def pictures(body: bytes) -> list[bytes]:
    urls = re.findall(rb'"data:image/\w+;base64,([^"]*)"', body)
    return [base64.b64decode(url) for url in urls]


async def test_references_become_data_urls_and_nothing_else_changes(resolver: Resolver) -> None:
    body = await resolved(resolver, "s3://parts/one.png", "s3://parts/two.jpg")
    assert pictures(body) == [png(8, 6), jpeg(64, 48)]
    back = re.sub(rb'"data:image/png[^"]*"', b'"s3://parts/one.png"', body)
    assert re.sub(rb'"data:image/jpeg[^"]*"', b'"s3://parts/two.jpg"', back) == chat(
        "s3://parts/one.png", "s3://parts/two.jpg"
    )


async def test_a_body_without_media_is_passed_on_as_it_is(resolver: Resolver) -> None:
    body = b'{"messages":[{"content":"no picture"}]}'
    assert not resolver.names_media(body)
    answer = await resolver.resolve(body, endpoint=CHAT, policy=MediaPolicy(), project=DEFAULT_PROJECT)
    assert answer.body is body
    assert answer.facts == ()


async def test_a_key_is_literal(resolver: Resolver) -> None:
    assert pictures(await resolved(resolver, "s3://parts/a b/c#d?e+%20ü&=.png")) == [png(5, 5)]


@pytest.mark.parametrize(
    ("url", "policy", "code"),
    [
        ("s3://parts/none.png", MediaPolicy(), "image_not_found"),
        ("s3://no-such-bucket/none.png", MediaPolicy(), "image_not_found"),
        ("s3://secret/one.png", MediaPolicy(allow=("s3://parts/*",)), "image_not_allowed"),
        ("s3://parts/one.png", MediaPolicy(allow=()), "image_not_allowed"),
        ("s3://parts/big.png", MediaPolicy(max_bytes=100), "image_too_large"),
        ("s3://parts/big.png", MediaPolicy(max_pixels=1000), "image_too_large"),
        ("s3://parts/cut.jpg", MediaPolicy(), "image_invalid"),
        ("s3://parts/text.png", MediaPolicy(), "image_invalid"),
        ("s3://parts/empty.png", MediaPolicy(), "image_invalid"),
        ("data:image/png;base64,!!!!", MediaPolicy(), "image_invalid"),
        ("data:text/html,<b>", MediaPolicy(), "image_unsupported"),
        ("data:image/png;base64," + "A" * 200, MediaPolicy(max_bytes=100), "image_too_large"),
        ("ftp://host/x.png", MediaPolicy(), "image_unsupported"),
        ("file:///etc/passwd", MediaPolicy(), "image_not_allowed"),
        ("file:///etc/passwd", MediaPolicy(allow=("file:*",)), "image_unsupported"),
        ("http://example.org/x.png", MediaPolicy(), "image_not_allowed"),
        ("http://example.org/x.png", MediaPolicy(allow=("http:*",)), "image_not_allowed"),
        ("https://127.0.0.1/x.png", MediaPolicy(), "image_not_allowed"),
        ("https://user@example.org/x.png", MediaPolicy(), "image_not_allowed"),
    ],
)
async def test_every_failure_has_its_code_and_path(
    resolver: Resolver, url: str, policy: MediaPolicy, code: str
) -> None:
    with pytest.raises(MediaError) as caught:
        await resolved(resolver, url, policy=policy)
    assert (caught.value.code, caught.value.param, caught.value.retriable) == (
        code,
        "messages[0].content[0].image_url.url",
        False,
    )
    assert "rclone" not in caught.value.message
    assert resolver._budget.used == 0


async def test_wrong_keys_are_denied(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    async with open_resolver() as resolver:
        with pytest.raises(MediaError) as caught:
            await resolved(resolver, "s3://parts/one.png")
    assert caught.value.code == "image_access_denied"


async def test_a_rule_brings_its_own_endpoint_and_profile(
    aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The environment's session token and endpoint belong to other credentials and must not leak into these."""
    (tmp_path / "credentials").write_text(
        "[shop]\naws_access_key_id=reader\naws_secret_access_key=reader-secret\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "other-token")
    rules = [BucketRule(match="par*", endpoint=aws, profile="shop", owner="123456789012")]
    async with open_resolver(buckets=rules) as resolver:
        assert pictures(await resolved(resolver, "s3://parts/one.png")) == [png(8, 6)]


async def test_one_fetch_for_many_lines(resolver: Resolver) -> None:
    hits = []

    async def ask() -> None:
        answer = await resolver.resolve(
            chat("s3://parts/two.jpg"), endpoint=CHAT, policy=MediaPolicy(), project=DEFAULT_PROJECT
        )
        hits.append(answer.facts[0].cache_hit)
        answer.close()

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(ask)
    assert hits.count(False) == 1


async def test_another_project_fetches_for_itself(resolver: Resolver) -> None:
    await resolved(resolver, "s3://parts/one.png")
    answer = await resolver.resolve(
        chat("s3://parts/one.png"), endpoint=CHAT, policy=MediaPolicy(), project=ProjectId("proj_other")
    )
    assert not answer.facts[0].cache_hit
    answer.close()


async def test_a_cached_object_is_still_refused_by_policy(resolver: Resolver) -> None:
    await resolved(resolver, "s3://secret/one.png")
    with pytest.raises(MediaError) as caught:
        await resolved(resolver, "s3://secret/one.png", policy=MediaPolicy(allow=("s3://parts/*",)))
    assert caught.value.code == "image_not_allowed"


async def test_an_object_is_asked_for_again_when_it_must_be_fresh(resolver: Resolver) -> None:
    await resolved(resolver, "s3://parts/one.png")
    for since, hit in ((0.0, True), (4e9, False)):
        answer = await resolver.resolve(
            chat("s3://parts/one.png"),
            endpoint=CHAT,
            policy=MediaPolicy(),
            project=DEFAULT_PROJECT,
            fresh_since=since,
        )
        assert answer.facts[0].cache_hit is hit
        assert pictures(answer.body) == [png(8, 6)]
        answer.close()


async def test_files_signed_addresses_and_native_references(resolver: Resolver) -> None:
    body = await resolved(resolver, "s3://parts/one.png", policy=MediaPolicy(deliver="file"))
    url = json.loads(body)["messages"][0]["content"][0]["image_url"]["url"]
    assert resolver.media_dir is not None
    assert url.startswith(resolver.media_dir.as_uri())
    assert await anyio.Path(url.removeprefix("file://")).read_bytes() == png(8, 6)
    body = await resolved(resolver, "s3://parts/a b/c.png", policy=MediaPolicy(deliver="presign"))
    assert b"/parts/a%20b/c.png?X-Amz-" in body
    assert await resolved(resolver, "s3://parts/x", policy=MediaPolicy(deliver="native")) == chat(
        "s3://parts/x"
    )


async def test_a_uuid_is_added_once_and_never_replaced(resolver: Resolver) -> None:
    body = await resolved(resolver, "s3://parts/one.png", "s3://parts/one.png", with_uuid=True)
    uuids = [part.get("uuid") for part in json.loads(body)["messages"][0]["content"]]
    assert uuids[0] == uuids[1]
    assert len(uuids[0]) == 40
    own = await resolver.resolve(
        chat("s3://parts/one.png", uuid="mine"),
        endpoint=CHAT,
        policy=MediaPolicy(),
        project=DEFAULT_PROJECT,
        with_uuid=True,
    )
    own.close()
    assert own.body.count(b'"uuid"') == 1


async def test_a_small_budget_lets_everybody_through_one_after_the_other(aws: str) -> None:
    async with open_resolver(bounds=Bounds(in_flight_bytes=1000)) as resolver:
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(_ask_and_close, resolver, f"proj_{number}")
        assert resolver._budget.used == 0


async def test_cancelled_lines_give_everything_back(resolver: Resolver) -> None:
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(_ask_and_close, resolver, f"proj_{number % 3}")
            await anyio.lowlevel.checkpoint()
            scope.cancel()
    assert resolver._budget.used == 0
    assert pictures(await resolved(resolver, "s3://parts/one.png")) == [png(8, 6)]


async def test_too_many_references_are_refused_before_any_is_fetched(resolver: Resolver) -> None:
    with pytest.raises(MediaError) as caught:
        await resolved(resolver, *["s3://parts/one.png"] * 4, policy=MediaPolicy(max_references=3))
    assert (caught.value.code, caught.value.param) == (
        "image_too_large",
        "messages[0].content[3].image_url.url",
    )


async def _ask_and_close(resolver: Resolver, project: str) -> None:
    assert (
        len(pictures(await resolved(resolver, "s3://parts/one.png", "s3://parts/two.jpg", project=project)))
        == 2
    )
