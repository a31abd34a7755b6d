"""A backup that is taken while workers work, database first, and restored elsewhere: every batch goes on and is sound."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from tests.fakes.engine import Behaviour
from tests.worker.world import World, open_world, request_file, request_line

from pronk.domain.batch import BatchStatus, Counts
from pronk.domain.ids import BatchId
from pronk.lifecycle.verify import Verify

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

GOOD, BAD = 120, 5


def _back_up(live: Path, elsewhere: Path) -> None:
    """Do what the operations page says; what is removed while the storage is copied is no loss."""
    elsewhere.mkdir()
    with (
        closing(sqlite3.connect(live / "pronk.db")) as source,
        closing(sqlite3.connect(elsewhere / "pronk.db")) as copy,
    ):
        source.backup(copy)
    for path in sorted((live / "blobs").rglob("*")):
        target = elsewhere / "blobs" / path.relative_to(live / "blobs")
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, target)
        except FileNotFoundError:
            continue


async def _taken_while_running(live: Path, elsewhere: Path, dice: random.Random) -> list[BatchId]:
    """Take a backup when some share of the answers has come; the original goes on to its end. Return its batches."""
    async with open_world(live) as world:
        world.engine.models["m"] = Behaviour(delay=0.005)
        ended = await world.add_batch(request_file(20))
        async with world.working():
            await world.until_ended(ended)
            before = world.engine.request_count
            data = request_file(GOOD) + b"".join(
                request_line(GOOD + number, model="status-400") for number in range(1, BAD + 1)
            )
            running, waiting = await world.add_batch(data), await world.add_batch(data)
            share = before + int(2 * (GOOD + BAD) * dice.random())
            await world.engine.until(lambda engine: engine.request_count >= share)
            await anyio.to_thread.run_sync(_back_up, live, elsewhere)
            await world.until_ended(running)
            await world.until_ended(waiting)
    return [ended, running, waiting]


async def _restored(elsewhere: Path, batches: list[BatchId]) -> None:
    async with open_world(elsewhere) as world:
        for worker, _ in await world.store.workers.of_host("here"):
            await world.store.shards.reclaim_of_worker(worker)
        async with world.working():
            for batch_id in batches:
                await world.until_ended(batch_id)
        for batch_id in batches:
            await _is_sound(world, batch_id)


async def _is_sound(world: World, batch_id: BatchId) -> None:
    batch = await world.store.batches.get(None, batch_id)
    verdict = await Verify(world.store, world.blobs)(batch_id)
    assert (verdict.problems, verdict.notes) == ([], [])
    assert batch.status is BatchStatus.COMPLETED
    if batch.counts.total == GOOD + BAD:
        assert batch.counts == Counts(GOOD + BAD, GOOD, BAD)
    good = [line["custom_id"] for line in await world.lines(batch.output_file_id)]
    assert good == [f"r-{number}" for number in range(1, batch.counts.completed + 1)]


async def _backups(folder: Path, *, times: int, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(times):
        live, elsewhere = folder / f"live-{number}", folder / f"elsewhere-{number}"
        batches = await _taken_while_running(live, elsewhere, dice)
        await _restored(elsewhere, batches)


async def test_backups_that_are_taken_while_workers_work_go_on_elsewhere(tmp_path: Path) -> None:
    await _backups(tmp_path, times=3, seed=24)


@pytest.mark.chaos
async def test_twenty_backups_go_on_elsewhere(tmp_path: Path) -> None:
    await _backups(tmp_path, times=20, seed=25)
