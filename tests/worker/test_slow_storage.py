"""Storage that takes its time: no shard ends before its last line is durable, and no line is dropped on the way."""

from __future__ import annotations

from pathlib import Path

import anyio
import msgspec
import pytest
from tests.fakes.engine import Behaviour
from tests.worker.world import World, open_world, request_file

from pronk.blobs import DiskBlobs
from pronk.domain.batch import Counts
from pronk.domain.ids import DEFAULT_PROJECT

pytestmark = pytest.mark.anyio


class SlowBlobs(DiskBlobs):
    """Holds the first journal part back until `gate` is set; `parts` counts those that were begun."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.gate = anyio.Event()
        self.parts = 0

    async def put(self, name: str, data: bytes) -> None:
        if name.startswith("journals/"):
            self.parts += 1
            if self.parts == 1:
                await self.gate.wait()
        await super().put(name, data)


def _slow(world: World, folder: Path) -> SlowBlobs:
    blobs = SlowBlobs(folder / "blobs")
    world.blobs = blobs
    return blobs


async def test_a_shard_does_not_end_while_a_part_of_it_is_being_written(tmp_path: Path) -> None:
    async with open_world(tmp_path, in_flight=1) as world:
        blobs = _slow(world, tmp_path)
        world.tuning = msgspec.structs.replace(world.tuning, flush_bytes=500, flush_seconds=60.0)
        batch_id = await world.add_batch(request_file(12))
        async with world.working():
            await world.engine.until(lambda engine: engine.request_count == 12)
            await anyio.wait_all_tasks_blocked()
            batch = await world.store.batches.get(None, batch_id)
            assert (str(batch.status), batch.counts) == ("in_progress", Counts(12, 0, 0))
            blobs.gate.set()
            batch = await world.until_ended(batch_id)
        lines = await world.lines(batch.output_file_id)
    assert batch.counts == Counts(12, 12, 0)
    assert len(lines) == 12


async def test_a_flush_that_is_cut_off_by_the_end_of_the_worker_loses_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        blobs = _slow(world, tmp_path)
        world.tuning = msgspec.structs.replace(world.tuning, grace_seconds=5.0)
        batch_id = await world.add_batch(request_file(12))
        async with world.working() as draining:
            await world.until(batch_id, lambda _: blobs.parts == 1)
            draining.set()
        async with world.working():
            batch = await world.until_ended(batch_id)
        lines = await world.lines(batch.output_file_id)
    assert batch.counts == Counts(12, 12, 0)
    assert len(lines) == 12
    assert world.engine.request_count == 12


class LateBlobs(DiskBlobs):
    """Gives the input's bytes from the second shard on only once `gate` is set, and drops a journal after two renewals of leases."""

    def __init__(self, root: Path, world: World) -> None:
        super().__init__(root)
        self.gate = anyio.Event()
        self.reads = 0
        self._world = world

    async def get_range(self, name: str, start: int, length: int) -> bytes:
        if name.startswith("files/"):
            self.reads += 1
            if self.reads > 1:
                await self.gate.wait()
        return await super().get_range(name, start, length)

    async def delete_below(self, prefix: str) -> None:
        if prefix.startswith("journals/"):
            for _ in range(2):
                began = self._world.now()
                while not await self._world.store.workers.count(since=began):  # noqa: ASYNC110
                    await anyio.sleep(0.005)
        await super().delete_below(prefix)


async def test_a_journal_is_dropped_though_nobody_holds_the_ended_batch_any_more(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.blobs = LateBlobs(tmp_path / "blobs", world)
        async with world.working():
            batch = await world.until_ended(await world.add_batch(request_file(3)))
    assert batch.counts == Counts(3, 3, 0)
    assert not (tmp_path / "blobs/journals" / batch.id).exists()


async def test_a_shard_that_was_being_opened_when_its_batch_was_cancelled_sends_nothing(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path, in_flight=16) as world:
        world.engine.models["m"] = Behaviour(hold=True)
        blobs = LateBlobs(tmp_path / "blobs", world)
        world.blobs = blobs
        batch_id = await world.add_batch(request_file(40))
        async with world.working():
            await world.engine.until(lambda engine: len(engine.held) == 16)
            await world.until(batch_id, lambda _: blobs.reads == 2)
            await world.store.batches.cancel(DEFAULT_PROJECT, batch_id, now=5)
            await world.engine.until(lambda engine: engine.aborted == 16)
            blobs.gate.set()
            batch = await world.until_ended(batch_id)
    assert batch.counts == Counts(40, 0, 40)
    assert (world.engine.request_count, world.engine.aborted) == (16, 16)
