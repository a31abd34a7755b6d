"""One level of a bucket: what lies there, page by page, and nothing that a job may not read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product

import anyio.lowlevel
import pytest
from tests.media.world import World, open_world

from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy
from pronk.media.level import Level, fold
from pronk.media.listing import Entry
from pronk.media.policy import fits, may_hold
from pronk.media.whole import ANY

pytestmark = pytest.mark.anyio
KEYS = ("a.png", "day/1.png", "day/2.png", "day/deep/3.png", "e é+&<.png", "night/4.png", "z.txt")


def fill(world: World, *keys: str) -> None:
    for key in keys:
        world.aws.new_bucket("shots") if "shots" not in world.aws.buckets else None
        world.aws.buckets["shots"].put(key, b"x" * len(key))


async def walk(world: World, at: str, policy: MediaPolicy = ANY, count: int = 1000, *, is_deep: bool = False) -> tuple[list[str], list[str], int]:  # fmt: skip
    """Return folders, keys and how many were hidden, over all pages."""
    folders: list[str] = []
    keys: list[str] = []
    after: str | None = ""
    hidden = 0
    while after is not None:
        level: Level = await world.resolver.whole.level(at, policy, after, count=count, is_deep=is_deep)
        folders += level.folders
        keys += [entry.key for entry in level.entries]
        hidden += level.hidden
        after = level.after
    return folders, keys, hidden


@pytest.mark.parametrize("count", [1, 2, 3, 1000])
async def test_a_level_is_its_folders_and_objects_on_however_many_pages(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    async with open_world(monkeypatch) as world:
        fill(world, *KEYS)
        assert await walk(world, "s3://shots", count=count) == (
            ["day/", "night/"],
            ["a.png", "e é+&<.png", "z.txt"],
            0,
        )
        assert await walk(world, "s3://shots/day/", count=count) == (
            ["day/deep/"],
            ["day/1.png", "day/2.png"],
            0,
        )
        assert (await walk(world, "s3://shots/", count=count, is_deep=True))[1] == list(KEYS)
        assert await walk(world, "s3://shots/none/", count=count) == ([], [], 0)
        level = await world.resolver.whole.level("s3://shots/day/1", ANY)
        assert level.entries == (Entry("day/1.png", 9),)


async def test_only_what_a_job_may_read_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        fill(world, *KEYS, "day/../secret.png", "odd//5.png")
        for allow, at, found in (
            (("s3://shots/day/*",), "s3://shots/", (["day/"], [], 5)),
            (("s3://shots/day/*",), "s3://shots/day/", (["day/deep/"], ["day/1.png", "day/2.png"], 1)),
            (("s3://shots/*/deep/*",), "s3://shots/day/", (["day/deep/"], [], 3)),
            (("s3://shots/*.txt",), "s3://shots/", (["day/", "night/", "odd/"], ["z.txt"], 2)),
            (("s3://sh*",), "s3://shots/night/", ([], ["night/4.png"], 0)),
        ):
            policy = MediaPolicy(allow=allow)
            assert await walk(world, at, policy) == found, (allow, at)
            assert await walk(world, at, policy, count=1) == found, (allow, at)


@pytest.mark.parametrize(
    ("at", "allow", "code"),
    [
        ("s3://shots/night/", ("s3://shots/day/*",), "document_not_allowed"),
        ("s3://secret/", ("s3://shots/*",), "document_not_allowed"),
        ("s3://shots/", (), "document_not_allowed"),
        ("s3://shots/day/../night/", ("s3://shots/day/*",), "document_unsupported"),
        ("s3://shots/", ("https://shots/*", "s3:/shots/*"), "document_not_allowed"),
        ("file:///etc/", None, "document_unsupported"),
        ("https://example.org/", None, "document_unsupported"),
        ("s3://none-such/", None, "document_not_found"),
        ("s3:///", None, "document_unsupported"),
        ("", None, "document_unsupported"),
    ],
)
async def test_what_may_not_be_read_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, at: str, allow: tuple[str, ...] | None, code: str
) -> None:
    async with open_world(monkeypatch) as world:
        fill(world, *KEYS)
        world.aws.new_bucket("secret").put("a.png", b"x")
        with pytest.raises(MediaError) as caught:
            await world.resolver.whole.level(at, MediaPolicy(allow=allow))
        assert caught.value.code == code
        if code != "document_not_found":
            assert world.aws.count("ListObjectsV2") == 0


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_a_store_that_lists_keys_only_is_folded_into_levels(count: int) -> None:
    async def listing(after: str) -> AsyncIterator[Entry]:
        for key in KEYS:
            await anyio.lowlevel.checkpoint()
            if key > after and key.startswith(prefix):
                yield Entry(key, 1)

    for prefix, folders, keys in (
        ("", ["day/", "night/"], ["a.png", "e é+&<.png", "z.txt"]),
        ("day/", ["day/deep/"], ["day/1.png", "day/2.png"]),
    ):
        found: tuple[list[str], list[str]] = ([], [])
        after: str | None = ""
        while after is not None:
            level = await fold(listing, prefix, after, count, is_deep=False)
            found[0].extend(level.folders)
            found[1].extend(entry.key for entry in level.entries)
            after = level.after
        assert found == (folders, keys)


def test_a_beginning_may_hold_exactly_what_some_ending_lets_fit() -> None:
    """Every glob and every text of a few characters, against a search of endings."""
    texts = ["".join(chars) for size in range(5) for chars in product("a/", repeat=size)]
    for glob in ("".join(chars) for size in range(1, 4) for chars in product("a/*?", repeat=size)):
        globs = (f"s3://{glob}",)
        for text in texts:
            could = any(fits(f"s3://{text}{more}", globs) for more in texts)
            if could or len(text) < 3:
                assert may_hold(f"s3://{text}", globs) == could, (glob, text)
    assert may_hold("s3://parts/x", None)
    assert may_hold("s3://parts/x", ("*",))
    assert may_hold("s3://parts", ("s3://parts",))
    assert may_hold("s3://parts/any/thing", ("s3://parts",))
    assert not may_hold("s3://parts2/", ("s3://parts",))
    assert not may_hold("s3://a/b", ("s3://*@evil",))
