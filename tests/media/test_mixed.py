"""One file's worth of lines over every kind of store at once: all right, each region looked up once, each picture once."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from tests.fakes.aws import CONTAINER, CONTAINER_TOKEN, INSTANCE, USER, Aws, open_aws
from tests.media.pictures import png
from tests.media.world import CHAT, SITE_HOST, World, open_world

from pronk.domain.bucket import BucketRule
from pronk.domain.errors import MediaError
from pronk.domain.ids import DEFAULT_PROJECT
from pronk.domain.job import MediaPolicy
from pronk.media.line import Resolved

pytestmark = pytest.mark.anyio

ROLE = "arn:aws:iam::222222222222:role/reader"
REGIONS = {"parts-eu": "eu-west-1", "parts-us": "us-east-1", "parts-ap": "ap-south-1"}


def picture(number: int) -> bytes:
    """Return a picture that no other number has."""
    return png(4, 4, (number % 256, number // 256 % 256, 7))


def images(resolved: MediaError | Resolved) -> list[bytes]:
    """Return the pictures that the engine gets, in order."""
    assert isinstance(resolved, Resolved), resolved.message
    parts = json.loads(resolved.body)["messages"][0]["content"]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [base64.b64decode(url.partition(";base64,")[2]) for url in urls]


@dataclass(slots=True)
class Clock:
    """Time that tests move; Unix seconds."""

    now: float

    def __call__(self) -> float:
        return self.now


async def test_three_regions_two_endpoints_a_role_an_anonymous_bucket_and_the_web(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(open_aws())
        keys = tmp_path / "credentials"
        minio = other.iam.add_user(USER)
        keys.write_text(
            f"[minio]\naws_access_key_id={minio.access_key}\naws_secret_access_key={minio.secret}\n"
        )
        rules = (
            BucketRule(match="elsewhere", endpoint=other.url, profile="minio"),
            BucketRule(match="roled", role_arn=ROLE, external_id="x1"),
            BucketRule(match="open*", anonymous=True),
        )
        world = await stack.enter_async_context(open_world(monkeypatch, rules=rules))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
        names = furnish_all(world, other)
        lines = [
            [names[number % len(names)][number % 5], names[(number * 3) % len(names)][0]]
            for number in range(350)
        ]
        answers = await world.outcomes(lines)
        expected = {name: bytes_of(world, other, name) for row in names for name in row}
        assert [images(answer) for answer in answers] == [[expected[name] for name in line] for line in lines]
        assert {
            b: world.aws.count("HeadBucket", b) for b in (*REGIONS, "roled", "open-data")
        } == dict.fromkeys((*REGIONS, "roled", "open-data"), 1)
        assert other.count("HeadBucket", "elsewhere") <= 1
        assert world.aws.count("AssumeRole") == 1
        assert world.aws.count("GetObject") == len(names) * 5 - 10
        assert not world.aws.codes
        assert world.canary.visits == []


def furnish_all(world: World, other: Aws) -> list[list[str]]:
    """Put five pictures in each place and return their references, a row for each place."""
    for name, region in REGIONS.items():
        world.aws.new_bucket(name, region)
    world.aws.new_bucket("roled", "eu-central-1", readers=(ROLE,))
    world.aws.iam.add_role(ROLE, trusts={USER}, external_id="x1")
    world.aws.new_bucket("open-data", "us-west-2", readers=()).is_public = True
    other.new_bucket("elsewhere", "us-east-1")
    rows = []
    for place, bucket in enumerate((*REGIONS, "roled", "open-data", "elsewhere")):
        home = other if bucket == "elsewhere" else world.aws
        for number in range(5):
            home.buckets[bucket].put(f"dir/{number} ü+%20#?.png", picture(place * 5 + number))
        rows.append([f"s3://{bucket}/dir/{number} ü+%20#?.png" for number in range(5)])
    for number in range(5):
        world.site.page(f"/web/{number}.png", picture(1000 + number))
    return [*rows, [f"http://{SITE_HOST}:{world.site.port}/web/{number}.png" for number in range(5)]]


def bytes_of(world: World, other: Aws, reference: str) -> bytes:
    scheme, _, rest = reference.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme == "http":
        return picture(1000 + int(key[4]))
    home = other if bucket == "elsewhere" else world.aws
    return home.buckets[bucket].get(key).body or b""


async def test_ten_thousand_lines_over_five_hundred_pictures_fetch_five_hundred_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_world(monkeypatch) as world:
        for number in range(500):
            world.aws.buckets["parts"].put(f"{number}.png", picture(number))
        served = 0

        async def worker(share: int) -> None:
            nonlocal served
            for line in range(share, 10_000, 50):
                (await world.ask(f"s3://parts/{line * 7 % 500}.png")).close()
                served += 1

        async with anyio.create_task_group() as group:
            for share in range(50):
                group.start_soon(worker, share)
        assert served == 10_000
        assert world.aws.count("GetObject") == 500
        assert world.aws.count("HeadBucket", "parts") == 1


@asynccontextmanager
async def roled_world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[World, Clock]]:
    """Give a world with a bucket that only a role may read, whose sessions last an hour of a clock that tests move."""
    clock = Clock(1_800_000_000.0)
    rules = (BucketRule(match="roled", role_arn=ROLE),)
    async with open_world(monkeypatch, rules=rules, clock=clock) as world:
        world.aws.iam.now = clock
        world.aws.iam.add_role(ROLE, trusts={USER}, seconds=3600)
        bucket = world.aws.new_bucket("roled", "eu-central-1", readers=(ROLE,))
        for number in range(400):
            bucket.put(f"{number}.png", picture(number))
        yield world, clock


async def served(world: World, numbers: Sequence[int]) -> bool:
    answers = await world.outcomes([[f"s3://roled/{number}.png"] for number in numbers])
    return [images(answer) for answer in answers] == [[picture(number)] for number in numbers]


async def test_sessions_are_renewed_before_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with roled_world(monkeypatch) as (world, clock):
        for part in range(4):
            assert await served(world, range(part * 100, part * 100 + 100))
            clock.now += 1800
        assert world.aws.codes == {}
        assert world.aws.count("AssumeRole") == 2


async def test_sessions_that_are_ended_early_are_renewed_once_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with roled_world(monkeypatch) as (world, _):
        assert await served(world, range(100))
        assert world.aws.iam.end_sessions() == 1
        assert await served(world, range(100, 400))
        assert world.aws.codes["ExpiredToken"] >= 1
        assert world.aws.count("AssumeRole") == 2


def container_role(patch: pytest.MonkeyPatch, world: World, folder: Path) -> None:
    patch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{world.aws.url}{CONTAINER}{ROLE}")
    patch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN)


def instance_role(patch: pytest.MonkeyPatch, world: World, folder: Path) -> None:
    world.aws.iam.instance_role = ROLE
    patch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    patch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"{world.aws.url}{INSTANCE}")


def web_identity(patch: pytest.MonkeyPatch, world: World, folder: Path) -> None:
    (folder / "token").write_text("web-identity-token")
    patch.setenv("AWS_ROLE_ARN", ROLE)
    patch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(folder / "token"))


def profile(patch: pytest.MonkeyPatch, world: World, folder: Path) -> None:
    user = world.aws.iam.add_user(ROLE)
    text = f"[batch]\naws_access_key_id={user.access_key}\naws_secret_access_key={user.secret}\n"
    (folder / "credentials").write_text(text)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    patch.setenv("AWS_PROFILE", "batch")


def credential_process(patch: pytest.MonkeyPatch, world: World, folder: Path) -> None:
    session = world.aws.iam.new_session(ROLE, 3600)
    document = {
        "Version": 1,
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret,
        "SessionToken": session.token,
    }
    (folder / "keys.json").write_text(json.dumps(document | {"Expiration": "2099-01-01T00:00:00Z"}))
    (folder / "config").write_text(f"[default]\ncredential_process = cat {folder / 'keys.json'}\n")
    patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))


@pytest.mark.parametrize("source", [container_role, instance_role, web_identity, profile, credential_process])
async def test_the_whole_chain_of_credentials(
    source: Callable[[pytest.MonkeyPatch, World, Path], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with open_world(monkeypatch) as world:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        world.aws.iam.add_role(ROLE, trusts=set())
        world.aws.new_bucket("roled", "eu-west-1", readers=(ROLE,)).put("1.png", picture(1))
        source(monkeypatch, world, tmp_path)
        assert images(await world.outcome("s3://roled/1.png")) == [picture(1)]


async def test_no_credentials_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        answer = await world.outcome("s3://parts/good.png")
        assert isinstance(answer, MediaError)
        assert answer.code == "image_access_denied"
        assert "credentials" in answer.message


KEYS = [
    "a//b.png",
    "./x.png",
    "/lead.png",
    "trail/",
    "a/./b.png",
    "ü ~'()!*&=$@,;:.png",
    "p%2Fq.png",
    "%",
    "+",
    "a b",
    "#1",
    "?x=1",
    "\U0001f600.png",
    "a?versionId=",
    "x.pdf",
    "Ä\u0308",
]


@pytest.mark.parametrize("key", KEYS)
async def test_keys_reach_the_object_as_written(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put(key, picture(3))
        assert images(await world.outcome(f"s3://parts/{key}")) == [picture(3)]
        assert world.aws.count("GetObject", "parts", key) == 1


async def test_two_projects_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        for project in ("proj_a", "proj_b", "proj_a", "proj_b"):
            resolved = await world.ask("s3://parts/good.png", project=project)
            resolved.close()
        assert world.aws.count("GetObject", "parts", "good.png") == 2


async def test_a_cached_object_is_still_not_for_a_job_that_may_not_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_world(monkeypatch) as world:
        (await world.ask("s3://parts/good.png")).close()
        for policy in (MediaPolicy(allow=()), MediaPolicy(allow=("s3://other/*",))):
            answer = await world.outcome("s3://parts/good.png", policy=policy)
            assert isinstance(answer, MediaError)
            assert answer.code == "image_not_allowed"
        for policy in (MediaPolicy(max_bytes=20), MediaPolicy(max_pixels=10)):
            answer = await world.outcome("s3://parts/good.png", policy=policy)
            assert isinstance(answer, MediaError)
            assert answer.code == "image_too_large"


async def test_the_same_failing_object_is_named_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        lines = [["s3://parts/good.png"] * index + ["s3://parts/none.png"] for index in range(8)]
        answers = await world.outcomes(lines)
        params = [answer.param for answer in answers if isinstance(answer, MediaError)]
        assert params == [f"messages[0].content[{index + 1}].image_url.url" for index in range(8)]
        assert world.aws.count("GetObject", "parts", "none.png") <= 8


async def test_everything_else_reaches_the_engine_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        before = b'{"seed": 1e400, "n":  12345678901234567890.10, "x":"\\u00e9", "x": 2,\t"messages":[{"content":[{"image_url":{"url":'
        after = b',"detail":"low"},"type" : "image_url"}]}] , "z":[ ]}'
        resolved = await world.resolver.resolve(
            before + b'"s3:\\/\\/parts\\/go\\u006fd.png"' + after,
            endpoint=CHAT,
            policy=MediaPolicy(),
            project=DEFAULT_PROJECT,
        )
        assert resolved.body.startswith(before + b'"data:image/png;base64,')
        assert resolved.body.endswith(b'"' + after)
