from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
import anyio.lowlevel
import msgspec
import pytest

from pronk.domain.ids import ProjectId
from pronk.media.cache import CacheKey, Medium, MemoryCache
from pronk.media.disk import DiskCache, content_hash
from pronk.media.sniff import Looks

pytestmark = pytest.mark.anyio


def path_of(url: str) -> Path:
    return Path(url2pathname(urlsplit(url).path))


def key(name: str, project: str = "p1") -> CacheKey:
    return CacheKey(ProjectId(project), "image", name)


def medium(name: str, data: bytes = b"data", project: str = "p1") -> Medium:
    looks = Looks("image/png", 3, 4)
    return Medium(data=data, looks=looks, etag='"e"', current_at=5.0, key=key(name, project))


async def test_another_worker_finds_what_one_has_kept(tmp_path: Path) -> None:
    one, other = (DiskCache(tmp_path, 1_000_000, lambda: 0.0) for _ in range(2))
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        group.start_soon(other.run)
        one.offer(medium("a", b"x" * 99))
        with anyio.fail_after(10):
            while (found := await other.find(key("a"))) is None:  # noqa: ASYNC110  # another worker tells nobody
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    assert found is not None
    assert (found.data, found.looks, found.etag, found.current_at) == (
        b"x" * 99,
        Looks("image/png", 3, 4),
        '"e"',
        5.0,
    )
    assert await other.find(key("a", "p2")) is None
    assert await other.find(key("b")) is None


async def test_the_same_bytes_are_one_file(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path, 1_000_000, lambda: 0.0)
    url, digest = await disk.file_of(medium("a"))
    first = path_of(url)
    assert (url, digest) == await disk.file_of(medium("b", project="p2"))
    assert first.read_bytes() == b"data"
    assert digest == content_hash(b"data")
    assert first.is_relative_to(disk.objects)
    disk.close()


async def test_a_file_that_was_handed_over_a_moment_ago_is_not_looked_at_again(tmp_path: Path) -> None:
    now, one, other = 1_000_000.0, medium("a"), medium("a", b"other")
    disk = DiskCache(tmp_path, 1_000_000, lambda: now)
    url, digest = await disk.file_of(one)
    path_of(url).unlink()
    assert await disk.file_of(one) == (url, digest)
    assert not path_of(url).exists()
    assert (await disk.file_of(other))[1] == content_hash(b"other")
    now += 61
    assert await disk.file_of(one) == (url, digest)
    assert path_of(url).read_bytes() == b"data"
    disk.close()


async def test_sweeping_removes_what_was_not_used_for_longest_and_spares_what_was_handed_over(
    tmp_path: Path,
) -> None:
    disk = DiskCache(tmp_path, 5_000, lambda: 1_000_000.0)
    files = []
    for number in range(10):
        path = path_of((await disk.file_of(medium(str(number), bytes([number]) * 1000)))[0])
        os.utime(path, (number * 1000, number * 1000))
        files.append(path)
    disk.sweep()
    disk.close()
    assert [path.exists() for path in files] == [False] * 6 + [True] * 4
    for number in range(6, 10):
        await disk.file_of(medium(str(number), bytes([number]) * 1000))
    now = 1_000_000.0 + 1700
    small = DiskCache(tmp_path, 1, lambda: now)
    assert not small.is_crowded
    small.sweep()
    assert small.is_crowded
    assert all(path.exists() for path in files[6:])
    now += 101
    small.sweep()
    assert not any(path.exists() for path in files[6:])
    assert not small.is_crowded
    small.close()


async def test_what_is_offered_does_not_shorten_the_life_of_a_file_that_was_handed_over(
    tmp_path: Path,
) -> None:
    disk = DiskCache(tmp_path, 1_000_000, lambda: 1_000_000.0)
    path = path_of((await disk.file_of(medium("a")))[0])
    async with anyio.create_task_group() as group:
        group.start_soon(disk.run)
        disk.offer(medium("b"))
        with anyio.fail_after(10):
            while await disk.find(key("b")) is None:  # noqa: ASYNC110  # the writer tells nobody
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    assert path.stat().st_mtime == 1_000_000.0 + 1800


async def test_a_crowded_disk_takes_nothing_more(tmp_path: Path) -> None:
    now = 1_000_000.0
    disk = DiskCache(tmp_path, 5_000, lambda: now)
    for number in range(7):
        await disk.file_of(medium(str(number), bytes([number]) * 1000))
    assert disk.is_crowded
    disk.offer(medium("more"))
    assert disk._receive.statistics().current_buffer_used == 0
    now += 61
    disk.offer(medium("more"))
    assert disk._receive.statistics().current_buffer_used == 1
    disk.close()


def test_memory_is_bounded_by_bytes_and_forgets_the_oldest() -> None:
    memory = MemoryCache(100)
    for name in "abcd":
        memory.put(key(name), medium(name, b"x" * 25))
    assert memory.find(key("a")) is not None
    memory.put(key("e"), medium("e", b"x" * 25))
    assert memory.find(key("b")) is None
    assert memory.find(key("a")) is not None
    memory.put(key("huge"), medium("huge", b"x" * 26))
    assert memory.find(key("huge")) is None
    assert memory.used == 100
    memory.put(key("a"), medium("a", b"x"))
    assert memory.used == 76


def test_projects_and_credentials_never_share_a_name() -> None:
    assert key("a") != key("a", "p2")
    assert len({key("a").digest(), key("a", "p2").digest(), key("b").digest()}) == 3


async def test_only_a_sample_is_kept_while_nothing_is_ever_asked_for_again(tmp_path: Path) -> None:
    disk, data = DiskCache(tmp_path, 10_000_000_000, lambda: 0.0), b"x" * 1_000_000

    async def keep(name: str) -> bool:
        disk.offer(medium(name, data))
        while disk._queued:  # the writer tells nobody
            await anyio.lowlevel.checkpoint()
        return disk._note(key(name)) is not None

    async with anyio.create_task_group() as group:
        group.start_soon(disk.run)
        assert [await keep(f"{number}") for number in range(17)] == [True] * 17
        names = [f"later-{number}" for number in range(1000)]
        kept = [name for name in names if await keep(name)]
        assert 1 < len(kept) < 20
        assert await disk.find(key("3")) is None  # it is there, and not looked for
        made = msgspec.structs.replace(key("made"), pixels=100)
        disk.offer(msgspec.structs.replace(medium("made", data), key=made))
        while await disk.find(made) is None:
            await anyio.lowlevel.checkpoint()
        assert await keep(next(name for name in names if name not in kept))
        assert await disk.find(key("3")) is not None
        group.cancel_scope.cancel()
