"""Whole objects in and out of a store that behaves as Amazon's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.fakes.aws import RESET, Fault
from tests.media.world import World, open_world

from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy
from pronk.media import whole
from pronk.media.whole import ANY

pytestmark = pytest.mark.anyio
DATA = bytes(range(256)) * 100


async def read(world: World, text: str, policy: MediaPolicy = ANY, max_bytes: int = 10**9) -> bytes:
    return b"".join([piece async for piece in world.resolver.whole.read(text, policy, max_bytes)])


@pytest.fixture(autouse=True)
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "SPAN_BYTES", 10_000)


@pytest.mark.parametrize("key", ["in.jsonl", "odd//in.jsonl"])
async def test_an_object_is_read_span_by_span(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put(key, DATA)
        world.aws.buckets["parts"].put("empty", b"")
        world.aws.fail(Fault(manners=RESET, skip=1))
        assert await read(world, f"s3://parts/{key}") == DATA
        assert world.aws.count("GetObject", "parts", key) == 4
        assert await read(world, "s3://parts/empty") == b""
        size, etag = await world.resolver.whole.etag(f"s3://parts/{key}")
        assert (size, bool(etag)) == (len(DATA), True)


async def test_one_that_changes_meanwhile_is_not_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("in.jsonl", DATA)
        pieces = world.resolver.whole.read("s3://parts/in.jsonl", ANY, 10**9)
        assert len(await anext(pieces)) == 10_000
        world.aws.buckets["parts"].put("in.jsonl", DATA[::-1])
        with pytest.raises(MediaError, match="changed while it was read"):
            await anext(pieces)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("s3://parts/none", "document_not_found"),
        ("s3://secret/in.jsonl", "document_not_allowed"),
        ("s3://parts/large", "document_too_large"),
        ("https://example.org/in.jsonl", "document_unsupported"),
        ("http://169.254.169.254/latest", "document_unsupported"),
        ("file:///etc/passwd", "document_unsupported"),
        ("s3://parts/../secret/in.jsonl", "document_not_allowed"),
        ("/etc/passwd", "document_unsupported"),
        ("s3://parts", "document_unsupported"),
    ],
)
async def test_what_may_not_be_read_is_not(monkeypatch: pytest.MonkeyPatch, text: str, code: str) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("large", DATA)
        world.aws.new_bucket("secret").put("in.jsonl", DATA)
        with pytest.raises(MediaError) as caught:
            await read(world, text, MediaPolicy(allow=("s3://parts/*",)), max_bytes=20_000)
        assert caught.value.code == code
        assert world.aws.count("GetObject", "secret") == 0
        assert not world.canary.visits


async def test_an_object_is_written_whole_however_often_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(DATA), 1000):
            yield DATA[start : start + 1000]

    async with open_world(monkeypatch) as world:
        world.aws.fail(Fault(code="SlowDown", operation=None, bucket="parts"))
        await world.resolver.whole.write("s3://parts/out/a.jsonl", chunks)
        assert world.aws.buckets["parts"].get("out/a.jsonl").body == DATA
        assert len(world.slept) == 1
        with pytest.raises(MediaError) as caught:
            await world.resolver.whole.write("s3://none/a.jsonl", chunks)
        assert caught.value.code == "document_not_found"
