"""Twelve faults are planted, one at a time, and each has to be found: a fault that nobody finds is a hole in the tests.

The code that is shipped has no switch for them: they are put in from here, into queries, functions and keys.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.chaos import test_damage
from tests.chaos.power import forgetful
from tests.media import test_attacks, test_mixed
from tests.store import test_outages
from tests.store.cluster import Cluster
from tests.store.scenes import LATE, NOW, OTHER, WORKER, done, opened, start_batch, take
from tests.worker.world import open_world, request_file

from pronk import blobs, journal
from pronk.blobs import DiskBlobs
from pronk.domain.batch import Counts
from pronk.domain.errors import BlobOutageError, ClaimLostError
from pronk.domain.ids import DEFAULT_PROJECT, new_worker_id
from pronk.journal import Journal, Mark, Part, decode_part
from pronk.media import library
from pronk.media.cache import CacheKey
from pronk.media.web import Web, parse_url
from pronk.store import postgres, sqlite
from pronk.store.database import load_queries
from pronk.store.sqlite import open_sqlite
from pronk.store.store import Store

pytestmark = pytest.mark.anyio

Patch = pytest.MonkeyPatch


class Place:
    """What a check may use."""

    def __init__(self, folder: Path, patch: Patch, request: pytest.FixtureRequest) -> None:
        self.folder = folder
        self.patch = patch
        self._request = request

    @property
    def cluster(self) -> Cluster:
        cluster: Cluster = self._request.getfixturevalue("cluster")
        return cluster

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        async with opened(open_sqlite(self.folder / "pronk.db")) as store:
            yield store


Plant = Callable[[Patch], None]
Check = Callable[[Place], Awaitable[None]]


def _query(name: str, *changes: tuple[str, str]) -> Plant:
    """Return the plant that changes the text of a statement."""

    def plant(patch: Patch) -> None:
        queries = load_queries()
        for old, new in changes:
            assert old in queries[name], f"{name} has changed: {queries[name]}"
            queries[name] = queries[name].replace(old, new)
        patch.setattr(sqlite, "load_queries", lambda: queries)

    return plant


def _acknowledge_before_sync(patch: Patch) -> None:
    patch.setattr(blobs, "_publish", lambda _, partial, target: partial.replace(target))


def _retry_a_failed_sync(patch: Patch) -> None:
    def publish(file: Any, partial: Path, target: Path) -> None:
        try:
            os.fsync(file.fileno())
        except OSError:
            os.fsync(file.fileno())
        partial.replace(target)
        blobs._sync_folder(target.parent)

    patch.setattr(blobs, "_publish", publish)


def _list_parts_before_they_have_their_name(patch: Patch) -> None:
    def names(self: DiskBlobs, prefix: str) -> list[str]:
        files = (path for path in (self._root / prefix).rglob("*") if path.is_file())
        return sorted(path.relative_to(self._root).as_posix() for path in files)

    patch.setattr(DiskBlobs, "_names", names)


def _take_a_torn_end_as_whole(patch: Patch) -> None:
    def lenient(data: bytes) -> Any:
        head, _, body = data.partition(b"\n")
        marks = msgspec.json.decode(head[33:] or b'{"marks":[]}', type=dict[str, Any])["marks"]
        lines = body.splitlines(keepends=True)
        return iter([(msgspec.convert(mark, Mark), line) for mark, line in zip(marks, lines, strict=False)])

    patch.setattr(journal, "decode_part", lenient)


def _keep_a_line_twice(patch: Patch) -> None:
    async def read(self: Journal, batch_id: Any, number: int) -> Any:
        found: dict[int, Any] = {}
        for name in await self._blobs.names(f"journals/{batch_id}/{number:06d}/"):
            for pair in decode_part(await self._blobs.get(name)):
                found[len(found)] = pair
        return found

    patch.setattr(Journal, "read", read)


def _take_any_end_of_a_transaction_for_a_commit(patch: Patch) -> None:
    def commit(connection: Any) -> None:
        connection.execute("COMMIT")

    patch.setattr(postgres, "_commit", commit)


def _follow_redirects_blindly(patch: Patch) -> None:
    patch.setattr(Web, "_next", lambda _, __, location, ___: parse_url(location))
    patch.setattr(Web, "checked", lambda _, text: parse_url(text))


def _share_the_cache_between_projects(patch: Patch) -> None:
    patch.setattr(library, "CacheKey", lambda _, *rest, **more: CacheKey(DEFAULT_PROJECT, *rest, **more))


async def _synced_before_it_counts(place: Place) -> None:
    (place.folder / "blobs").mkdir()
    with forgetful(place.folder / "blobs") as disk:
        parts = Journal(DiskBlobs(place.folder / "blobs"))
        await parts.append(test_damage.CLAIM, 1, test_damage._part())
        disk.lose_power()
        assert len(await parts.read(test_damage.CLAIM.batch_id, 0)) == 30


async def _a_failed_sync_is_final(place: Place) -> None:
    """The kernel may drop what it could not write, and call the next sync a success."""
    (place.folder / "blobs").mkdir()
    with forgetful(place.folder / "blobs") as disk:
        parts = Journal(DiskBlobs(place.folder / "blobs"))
        disk.drops_next = True
        try:
            await parts.append(test_damage.CLAIM, 1, test_damage._part())
        except BlobOutageError:
            return
        disk.lose_power()
        assert len(await parts.read(test_damage.CLAIM.batch_id, 0)) == 30


async def _only_the_holder_may_finish(place: Place) -> None:
    async with place.store() as store:
        await start_batch(store)
        old = await take(store, until=NOW - 1)
        await store.shards.reclaim(now=NOW)
        await take(store, OTHER)
        with pytest.raises(ClaimLostError):
            await store.shards.finish(old, done(10), now=NOW)


async def _an_old_attempt_keeps_nothing(place: Place) -> None:
    async with place.store() as store:
        await start_batch(store)
        await take(store, until=NOW - 1)
        await store.shards.reclaim(now=NOW)
        await take(store, OTHER, until=NOW - 1)
        assert await store.shards.renew(WORKER, until=LATE) == {}
        assert await store.shards.reclaim(now=NOW) == 1


async def _a_live_lease_is_left_alone(place: Place) -> None:
    async with place.store() as store:
        await start_batch(store)
        await take(store, until=LATE)
        assert await store.shards.reclaim(now=NOW) == 0


async def _a_blob_is_listed_when_it_is_whole(place: Place) -> None:
    disk = DiskBlobs(place.folder)
    async with disk.writer("journals/b/000000/part") as writer:
        await writer.write(b"half")
        assert await disk.names("journals/") == []


async def _each_line_comes_once(place: Place) -> None:
    async with open_world(place.folder) as world:
        batch_id = await world.add_batch(request_file(10))
        await world.take_in(new_worker_id())
        found = await world.store.shards.claim("default", new_worker_id(), until=world.now() - 1)
        assert found is not None
        for sequence in (1, 2):
            part = Part()
            text = b'{"id":"x","custom_id":"r-5","response":{"status_code":200,"body":{}},"error":null}\n'
            part.add(Mark(5, len(text)), text)
            await Journal(world.blobs).append(found[1].claim, sequence, part)
        async with world.working():
            batch = await world.until_ended(batch_id)
        lines = await world.lines(batch.output_file_id)
    assert batch.counts == Counts(10, 10, 0)
    assert [line["custom_id"] for line in lines] == [f"r-{number}" for number in range(1, 11)]


async def _a_cancelled_batch_gives_no_shard(place: Place) -> None:
    async with place.store() as store:
        batch_id = await start_batch(store, shards=2)
        claim = await take(store)
        await store.batches.cancel(DEFAULT_PROJECT, batch_id, now=NOW)
        await store.shards.release(claim, done(0))
        assert await store.shards.claim("default", OTHER, until=LATE) is None


ALSO = "status IN ('in_progress', 'cancelling')"
FAULTS: dict[str, tuple[Plant, Check]] = {
    "ack before sync": (_acknowledge_before_sync, _synced_before_it_counts),
    "no fence on finish": (
        _query(
            "finish_shard",
            ("AND attempt = :attempt AND worker_id = :worker_id", "AND :attempt > 0 AND :worker_id <> ''"),
        ),
        _only_the_holder_may_finish,
    ),
    "renew accepts old attempt": (
        _query("renew_shards", ("AND worker_id = :worker_id", "AND :worker_id <> ''")),
        _an_old_attempt_keeps_nothing,
    ),
    "reaper ignores live lease": (
        _query("find_late_shards", ("AND lease_expires_at <= :now", "AND :now > 0")),
        _a_live_lease_is_left_alone,
    ),
    "part list read before rename": (
        _list_parts_before_they_have_their_name,
        _a_blob_is_listed_when_it_is_whole,
    ),
    "last line without newline taken as whole": (
        _take_a_torn_end_as_whole,
        lambda place: test_damage.test_a_torn_part_counts_as_not_there_wherever_it_was_torn(place.folder),
    ),
    "duplicate line not dropped": (_keep_a_line_twice, _each_line_comes_once),
    "cancelled shard re-queued": (
        lambda patch: _queries(
            patch, ("status = 'in_progress'", ALSO), "pick_batch", "pick_any", "count_claim", "pick_urgent"
        ),
        _a_cancelled_batch_gives_no_shard,
    ),
    "Postgres commit error taken as success": (
        _take_any_end_of_a_transaction_for_a_commit,
        lambda place: test_outages.test_a_commit_that_did_not_happen_is_not_taken_for_one(place.cluster),
    ),
    "retry of a failed fsync": (_retry_a_failed_sync, _a_failed_sync_is_final),
    "redirect target unchecked": (
        _follow_redirects_blindly,
        lambda place: test_attacks.test_redirects_lead_nowhere_inside(302, place.patch),
    ),
    "cache key without project": (
        _share_the_cache_between_projects,
        lambda place: test_mixed.test_two_projects_share_nothing(place.patch),
    ),
}


def _queries(patch: Patch, change: tuple[str, str], *names: str) -> None:
    queries = load_queries()
    for name in names:
        assert change[0] in queries[name], name
        queries[name] = queries[name].replace(*change)
    patch.setattr(sqlite, "load_queries", lambda: queries)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_planted_fault_is_found(fault: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    plant, check = FAULTS[fault]
    with Patch.context() as patch:
        (tmp_path / "sound").mkdir()
        await check(Place(tmp_path / "sound", patch, request))
    with Patch.context() as patch:
        plant(patch)
        (tmp_path / "faulty").mkdir()
        with pytest.raises((AssertionError, pytest.fail.Exception, ExceptionGroup)):
            await check(Place(tmp_path / "faulty", patch, request))


def test_there_are_twelve() -> None:
    assert len(FAULTS) == 12
