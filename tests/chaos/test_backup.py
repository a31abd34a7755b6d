"""A backup that is taken while workers work, database first, and restored elsewhere: every batch goes on and is sound."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest
from tests.chaos.storage import s3_storage
from tests.fakes.engine import Behaviour
from tests.store.cluster import Cluster
from tests.worker.world import World, open_world, request_file, request_line

from pronk.blobs import open_blobs
from pronk.domain.batch import BatchStatus, Counts
from pronk.domain.ids import BatchId
from pronk.lifecycle.verify import Verify
from pronk.store.opening import open_database
from pronk.store.store import Store

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

GOOD, BAD = 120, 5


class Place(msgspec.Struct, frozen=True):
    """Where a server keeps what it remembers and stores."""

    folder: Path
    database: str
    storage: str

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[World]:
        async with open_world(self.folder) as world:
            await world.store.close()
            world.store = Store(await anyio.to_thread.run_sync(open_database, self.database))
            await world.store.open(now=1)
            world.blobs = open_blobs(self.storage)
            yield world


BackUp = Callable[[Place, Path], Awaitable[Place]]
"""Backs a place up and restores it as another, whose folder is given and which is returned."""


def _on_disk(folder: Path) -> Place:
    return Place(folder, f"sqlite://{folder}/pronk.db", f"file://{folder}/blobs")


async def _back_up_disk(live: Place, elsewhere: Path) -> Place:
    await anyio.to_thread.run_sync(_copy_disk, live.folder, elsewhere)
    return _on_disk(elsewhere)


def _copy_disk(live: Path, elsewhere: Path) -> None:
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


async def _back_up_cluster(cluster: Cluster, live: Place, elsewhere: Path) -> Place:
    """As above, with a dump of Postgres and another prefix of the bucket."""
    dump = live.folder / "dump"
    await anyio.to_thread.run_sync(cluster.dump, live.database, dump)
    storage = f"{live.storage}-{elsewhere.name}"
    source, copy = open_blobs(live.storage), open_blobs(storage)
    for prefix in ("files/", "journals/", "facts/"):
        for name in await source.names(prefix):
            with suppress(FileNotFoundError):
                await copy.put(name, await source.get(name))
    database = await anyio.to_thread.run_sync(cluster.restore, dump, live.database)
    return Place(elsewhere, database, storage)


async def _taken_while_running(
    live: Place, back_up: BackUp, elsewhere: Path, dice: random.Random
) -> tuple[list[BatchId], Place]:
    """Take a backup when some share of the answers has come; the original goes on to its end. Return its batches and the copy."""
    async with live.opened() as world:
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
            copy = await back_up(live, elsewhere)
            await world.until_ended(running)
            await world.until_ended(waiting)
    return [ended, running, waiting], copy


async def _goes_on(copy: Place, batches: list[BatchId]) -> None:
    async with copy.opened() as world:
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
        live = _on_disk(folder / f"live-{number}")
        batches, copy = await _taken_while_running(live, _back_up_disk, folder / f"elsewhere-{number}", dice)
        await _goes_on(copy, batches)


async def _backups_of_a_cluster(
    folder: Path, cluster: Cluster, patch: pytest.MonkeyPatch, *, times: int, seed: int
) -> None:
    dice = random.Random(seed)
    back_up = partial(_back_up_cluster, cluster)
    async with s3_storage(patch) as storage:
        for number in range(times):
            live = Place(folder / f"live-{number}", cluster.make_schema(), f"{storage}/live-{number}")
            batches, copy = await _taken_while_running(live, back_up, folder / f"elsewhere-{number}", dice)
            await _goes_on(copy, batches)


async def test_backups_that_are_taken_while_workers_work_go_on_elsewhere(tmp_path: Path) -> None:
    await _backups(tmp_path, times=3, seed=24)


async def test_a_backup_of_postgres_and_s3_goes_on_elsewhere(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _backups_of_a_cluster(tmp_path, cluster, monkeypatch, times=1, seed=24)


@pytest.mark.chaos
async def test_twenty_backups_go_on_elsewhere(tmp_path: Path) -> None:
    await _backups(tmp_path, times=20, seed=25)


@pytest.mark.chaos
async def test_twenty_backups_of_postgres_and_s3_go_on_elsewhere(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _backups_of_a_cluster(tmp_path, cluster, monkeypatch, times=20, seed=25)
