"""Listings: every key once and in order, many pages at a time, whatever the keys look like."""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable, Sequence

import anyio
import pytest
from tests.fakes.aws import Fault
from tests.media.world import open_world

from pronk.domain.errors import MediaError
from pronk.media.listing import Entry, Page, list_keys, middle_of

pytestmark = pytest.mark.anyio


class Store:
    """A store that lists `page` keys at a time; counts pages and how many were asked for at once."""

    def __init__(self, keys: Sequence[str], page: int = 10) -> None:
        self.keys = sorted(keys)
        self.page = page
        self.pages = 0
        self.most = 0
        self._now = 0

    async def fetch(self, after: str) -> Page:
        self.pages += 1
        self._now += 1
        self.most = max(self.most, self._now)
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        self._now -= 1
        start = bisect.bisect_right(self.keys, after)
        found = self.keys[start : start + self.page]
        return Page([Entry(key, 1) for key in found], start + self.page < len(self.keys))


def random_keys(shape: str, count: int) -> list[str]:
    chance = random.Random(shape)
    make: dict[str, Callable[[int], str]] = {
        "numbers": lambda n: f"img_{n:08}.png",
        "hex": lambda _: f"{chance.getrandbits(64):016x}/a.jpg",
        "folders": lambda n: f"{n % 7}/{n % 13}/deep/{n}.png",
        "unicode": lambda n: f"é{chr(0x4E00 + n % 500)}{n}",
        "one folder": lambda n: f"{'x' * 40}/{n}",
        "skewed": lambda n: f"a{n:06}" if n % 100 else f"z{n}",
    }
    return list({make[shape](n) for n in range(count)})


@pytest.mark.parametrize("shape", ["numbers", "hex", "folders", "unicode", "one folder", "skewed"])
async def test_every_key_comes_once_and_in_order(shape: str) -> None:
    keys = [f"p/{key}" for key in random_keys(shape, 3000)]
    store = Store(keys)
    assert [entry.key async for entry in list_keys(store.fetch, "p/")] == sorted(keys)
    assert store.most >= (1 if shape == "unicode" else 4)
    after = sorted(keys)[1234]
    assert [entry.key async for entry in list_keys(store.fetch, "p/", after)] == sorted(keys)[1235:]


async def test_many_pages_are_asked_for_at_once_and_few_in_vain() -> None:
    store = Store([f"p/{key}" for key in random_keys("numbers", 20_000)], page=100)
    assert len([entry async for entry in list_keys(store.fetch, "p/")]) == 20_000
    assert store.most >= 10
    assert store.pages < 200 * 1.7


@pytest.mark.parametrize("count", [0, 1, 10, 11])
async def test_small_folders_are_listed_too(count: int) -> None:
    store = Store([f"p/{n}" for n in range(count)])
    assert len([entry async for entry in list_keys(store.fetch, "p/")]) == count


async def test_a_middle_lies_between() -> None:
    for low, high in (("p/a", "p/c"), ("p/1", None), ("p/", "p/z"), ("p/img_0001", "p/img_9")):
        middle = middle_of(low, high, "p/", "0123456789_abcgimz")
        assert middle is not None
        assert low < middle
        assert high is None or middle < high
    assert middle_of("p/a", None, "p/", "a") is None


async def test_a_bucket_that_behaves_as_amazons(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        bucket = world.aws.new_bucket("many", "eu-west-1")
        keys = sorted([f"in/{n:05}.png" for n in range(2500)] + ["in/a b+c&d%20é//x.png", "in/<&>.png"])
        for key in [*keys, "other/x.png"]:
            bucket.put(key, b"x" * 7)
        world.aws.fail(Fault(code="SlowDown", operation="ListObjectsV2", times=2))
        found = [entry async for entry in world.resolver.whole.list("s3://many/in/")]
        assert [entry.key for entry in found] == keys
        assert {entry.size for entry in found} == {7}
        assert [entry.key async for entry in world.resolver.whole.list("s3://many", after="in/<&>.png")][
            :1
        ] == [keys[keys.index("in/<&>.png") + 1]]
        for text, code in (("s3://none/in/", "document_not_found"), ("x", "document_unsupported")):
            with pytest.raises(MediaError) as caught:
                _ = [entry async for entry in world.resolver.whole.list(text)]
            assert caught.value.code == code
