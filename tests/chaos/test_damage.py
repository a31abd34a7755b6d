"""Storage that lies: torn, flipped and forgotten bytes, syncs that fail, full and read-only disks, a locked database."""

from __future__ import annotations

import errno
import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import msgspec
import pytest
from tests.chaos.power import Disk, forgetful
from tests.fakes.engine import Behaviour
from tests.worker.world import World, open_world, request_file

from pronk import blobs as disk_blobs
from pronk.blobs import DiskBlobs
from pronk.domain.batch import Counts
from pronk.domain.errors import BlobOutageError
from pronk.domain.ids import BatchId, WorkerId
from pronk.domain.shard import Claim
from pronk.domain.usage import Usage
from pronk.journal import Journal, Mark, Part, decode_part
from pronk.store import sqlite

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("impatient")]

CLAIM = Claim(BatchId("batch_x"), 0, 1, WorkerId("worker_x"))


def _part(lines: int = 30) -> Part:
    part = Part()
    for line in range(1, lines + 1):
        text = b'{"custom_id":"r-%d","answer":"%b"}\n' % (line, b"x" * (line % 7))
        part.add(Mark(line, len(text), None, Usage(line, 0, 1, 0)), text)
    return part


async def _stored(folder: Path) -> tuple[Journal, Path]:
    journal = Journal(DiskBlobs(folder))
    await journal.append(CLAIM, 1, _part())
    return journal, _only_part(folder)


def _only_part(folder: Path) -> Path:
    (path,) = folder.rglob("*.jsonl")
    return path


async def test_a_torn_part_counts_as_not_there_wherever_it_was_torn(tmp_path: Path) -> None:
    journal, path = await _stored(tmp_path)
    whole = path.read_bytes()
    for offset in range(0, len(whole), max(1, len(whole) // 200)):
        for torn in (whole[:offset], whole[:offset].ljust(len(whole), b"\0")):
            path.write_bytes(torn)
            assert await journal.read(CLAIM.batch_id, 0) == {}, offset
    path.write_bytes(whole)
    assert len(await journal.read(CLAIM.batch_id, 0)) == 30


async def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    journal, path = await _stored(tmp_path)
    whole = path.read_bytes()
    dice = random.Random(6)
    for _ in range(200):
        flipped = bytearray(whole)
        flipped[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
        path.write_bytes(flipped)
        assert await journal.read(CLAIM.batch_id, 0) == {}


async def test_a_line_that_moves_within_a_part_is_noticed() -> None:
    data = _part(12).encode()
    moved = data.replace(b"[[1,", b"[[9,")
    assert moved != data
    with pytest.raises(ValueError, match="not those that were written"):
        decode_part(moved)


@pytest.mark.parametrize("what", ["journals", "000000", ".partial"])
async def test_a_sync_that_fails_is_not_counted_and_its_name_not_used_again(
    tmp_path: Path, what: str
) -> None:
    (tmp_path / "blobs").mkdir()
    with forgetful(tmp_path / "blobs") as disk:
        journal = Journal(DiskBlobs(tmp_path / "blobs"))
        disk.broken.add(what)
        with pytest.raises(BlobOutageError, match="Input/output"):
            await journal.append(CLAIM, 1, _part())
        disk.broken.clear()
        await journal.append(CLAIM, 2, _part())
        disk.lose_power()
        assert len(await journal.read(CLAIM.batch_id, 0)) == 30


async def test_a_batch_goes_on_after_syncs_that_failed(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        with forgetful(tmp_path / "blobs") as disk:
            batch_id = await world.add_batch(request_file(40))
            disk.broken.add("journals")
            async with world.working():
                await world.engine.until(lambda engine: engine.request_count == 40)
                batch = await world.store.batches.get(None, batch_id)
                assert batch.counts.completed == 0
                disk.broken.clear()
                batch = await world.until_ended(batch_id)
    assert batch.counts == Counts(40, 40, 0)
    assert world.engine.request_count == 40


async def _loses_power(folder: Path, dice: random.Random) -> None:
    """Cut the power at a random moment; what the database says to be done is there, and the batch comes to its end."""
    async with open_world(folder, in_flight=4) as world:
        with forgetful(folder / "blobs") as disk:
            world.engine.models["m"] = Behaviour(delay=0.002)
            batch_id = await world.add_batch(request_file(60))
            await _until_the_power_goes(world, disk, dice)
            async with world.working():
                batch = await world.until_ended(batch_id)
            lines = await world.lines(batch.output_file_id)
    assert batch.counts == Counts(60, 60, 0)
    assert [line["custom_id"] for line in lines] == [f"r-{number}" for number in range(1, 61)]
    assert world.engine.request_count <= 120


async def _until_the_power_goes(world: World, disk: Disk, dice: random.Random) -> None:
    async with anyio.create_task_group() as group:
        worker = world.worker()
        group.start_soon(worker.run, anyio.Event())
        await anyio.sleep(dice.uniform(0.0, 0.12))
        worker._give_back = anyio.lowlevel.checkpoint  # type: ignore[method-assign]  # the power is gone
        group.cancel_scope.cancel()
    disk.lose_power()
    await world.store.shards.reclaim_of_worker(worker.id)


async def test_power_may_go_at_any_moment(tmp_path: Path) -> None:
    dice = random.Random(7)
    for number in range(8):
        await _loses_power(tmp_path / str(number), dice)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
async def test_power_may_go_two_hundred_times(tmp_path: Path) -> None:
    dice = random.Random(8)
    for number in range(200):
        await _loses_power(tmp_path / str(number), dice)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
async def test_a_disk_that_takes_nothing_is_waited_for(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all, is_full = disk_blobs._write_all, False

    def full(file: object, data: bytes) -> None:
        if is_full:
            write_all(file, data[: len(data) // 2])  # type: ignore[arg-type]
            raise OSError(code, os.strerror(code))
        write_all(file, data)  # type: ignore[arg-type]

    monkeypatch.setattr(disk_blobs, "_write_all", full)
    async with open_world(tmp_path) as world:
        batch_id = await world.add_batch(request_file(40))
        is_full = True
        async with world.working():
            await world.engine.until(lambda engine: engine.request_count == 40)
            with pytest.raises(BlobOutageError):
                await world.blobs.ping()
            assert await world.blobs.names("journals/") == []
            is_full = False
            batch = await world.until_ended(batch_id)
        left = [path for path in (tmp_path / "blobs").rglob("*.partial") if path.exists()]
    assert (batch.counts, left) == (Counts(40, 40, 0), [])
    assert world.engine.request_count == 40


async def test_a_database_locked_for_longer_than_a_lease_costs_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    async with open_world(tmp_path) as world:
        world.engine.models["m"] = Behaviour(delay=0.01)
        world.tuning = msgspec.structs.replace(world.tuning, lease_seconds=0.4)
        batch_id = await world.add_batch(request_file(200))
        async with world.working(), world.working():
            await world.until(batch_id, lambda batch: batch.counts.completed > 20)
            await _locked(tmp_path / "pronk.db", seconds=1.2)
            attempts = [attempt for _, attempt, _ in await world.store.shards.of_batch(batch_id)]
            batch = await world.until_ended(batch_id)
    assert max(attempts) == 1
    assert batch.counts == Counts(200, 200, 0)
    assert world.engine.request_count == 200


async def _locked(path: Path, *, seconds: float) -> None:
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await anyio.sleep(seconds)
        other.execute("ROLLBACK")


async def test_a_cancel_while_storage_is_away_stops_no_renewal(tmp_path: Path) -> None:
    """Two batches in one worker: giving up the one must not cost the other its lease."""
    async with open_world(tmp_path, in_flight=4) as world:
        world.tuning = msgspec.structs.replace(world.tuning, lease_seconds=0.3)
        world.engine.models["slow"] = Behaviour(hold=True)
        kept, dropped = [await world.add_batch(request_file(2, model="slow")) for _ in range(2)]
        async with world.working():
            await world.engine.until(lambda engine: len(engine.held) == 4)
            (tmp_path / "blobs").rename(tmp_path / "away")
            world.engine.release()
            await world.engine.until(lambda engine: engine.in_flight == 0)
            batch = await world.store.batches.get(None, dropped)
            await world.store.batches.cancel(batch.project_id, dropped, now=5)
            await anyio.sleep(0.6)
            held = await _held(world, kept)
            (tmp_path / "away").rename(tmp_path / "blobs")
            batch = await world.until_ended(kept)
            other = await world.until_ended(dropped)
    assert held == [("running", 1)]
    assert (batch.counts, other.counts.completed) == (Counts(2, 2, 0), 2)
    assert world.engine.request_count == 4


async def _held(world: World, batch_id: BatchId) -> list[tuple[str, int]]:
    late = await world.store.shards.reclaim(now=world.now())
    shards = await world.store.shards.of_batch(batch_id)
    return [("running" if not late else "late", attempt) for _, attempt, _ in shards]


async def test_what_is_finished_survives_a_stop_while_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    async with open_world(tmp_path) as world:
        world.tuning = msgspec.structs.replace(world.tuning, flush_seconds=60.0, grace_seconds=0.2)
        world.engine.models["slow"] = Behaviour(hold=True)
        data = request_file(10) + request_file(1, model="slow").replace(b'"r-', b'"s-')
        batch_id = await world.add_batch(data)
        with closing(sqlite3.connect(tmp_path / "pronk.db", timeout=10, isolation_level=None)) as other:
            async with world.working() as draining:
                await world.engine.until(lambda engine: len(engine.held) == 1 and engine.in_flight == 1)
                other.execute("BEGIN IMMEDIATE")
                draining.set()
            other.execute("ROLLBACK")
        done, _ = await Journal(world.blobs).progress(batch_id, 0)
    assert len(done) == 10
