"""Workers are killed, stopped and woken at random while a batch runs; its files are those of a calm run."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest
import structlog
from tests.chaos.field import Field, Mother, mother, open_field
from tests.chaos.history import History
from tests.chaos.storage import s3_storage

from pronk.domain.batch import BatchStatus
from pronk.domain.ids import BatchId

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(7200)]
log = structlog.get_logger()


@pytest.fixture(scope="module")
def bearer() -> Iterator[Mother]:
    with mother() as bearing:
        yield bearing


async def _killed_again_and_again(field: Field, dice: random.Random, *, lines: int, kills: int) -> History:
    """Run one batch under two workers, either of which is killed and replaced after a random while."""
    field.engine.requests.clear()
    batch_id = await field.add(lines, model="delay-0.02")
    history = History([f"r-{number}" for number in range(1, lines + 1)])
    pids = [field.mother.bear(field.life()) for _ in range(2)]
    for _ in range(kills):
        await anyio.sleep(dice.uniform(0.02, 0.25))
        victim = pids.pop(dice.randrange(2))
        await field.kill(victim)
        history.kill(field.asked(), await field.journalled(batch_id))
        pids.append(field.mother.bear(field.life()))
    await _comes_out_right(field, batch_id, history)
    for pid in pids:
        await field.stop(pid)
    return history


async def _comes_out_right(field: Field, batch_id: BatchId, history: History) -> None:
    batch = await field.until(batch_id, lambda batch: batch.is_terminal)
    lines = [line["custom_id"] for line in await field.lines(batch.output_file_id)]
    assert (batch.status, batch.error_file_id) == (BatchStatus.COMPLETED, None)
    assert history.verdict(lines, field.asked()) == {}


async def _many(field: Field, *, batches: int, lines: int, kills: int, seed: int) -> None:
    dice = random.Random(seed)  # chance, not secrecy
    in_flight = 0
    for number in range(batches):
        history = await _killed_again_and_again(field, dice, lines=lines, kills=kills)
        in_flight += history.in_flight
        log.info("survived", batch=number + 1, kills=(number + 1) * kills, in_flight_at_kills=in_flight)


@asynccontextmanager
async def _field(
    folder: Path, bearer: Mother, url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Field]:
    """SQLite has its files on the disk, Postgres in S3."""
    if url.startswith("sqlite"):
        async with open_field(folder, url, bearer) as field:
            yield field
        return
    async with s3_storage(monkeypatch) as storage:
        with mother() as heir:
            async with open_field(folder, url, heir, storage=storage) as field:
                yield field


async def test_some_kills_lose_and_double_nothing(
    tmp_path: Path, bearer: Mother, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _field(tmp_path, bearer, database_url, monkeypatch) as field:
        await _many(field, batches=1, lines=600, kills=15, seed=1)


@pytest.mark.chaos
async def test_five_hundred_kills_lose_and_double_nothing(
    tmp_path: Path, bearer: Mother, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _field(tmp_path, bearer, database_url, monkeypatch) as field:
        await _many(field, batches=10, lines=2000, kills=50, seed=2)


async def test_a_worker_that_wakes_after_its_lease_changes_nothing(tmp_path: Path, bearer: Mother) -> None:
    await _sleepers(tmp_path, bearer, times=2)


@pytest.mark.chaos
async def test_a_hundred_sleepers_change_nothing(tmp_path: Path, bearer: Mother) -> None:
    await _sleepers(tmp_path, bearer, times=100)


async def _sleepers(folder: Path, bearer: Mother, *, times: int) -> None:
    url = f"sqlite://{folder}/pronk.db"
    async with open_field(folder, url, bearer, lease_seconds=0.5, heartbeat_seconds=0.05) as field:
        for number in range(times):
            await _sleeps_through_its_lease(field, pause=0.05 + 0.01 * (number % 20))


async def _sleeps_through_its_lease(field: Field, *, pause: float) -> None:
    field.engine.requests.clear()
    lines = 200
    batch_id = await field.add(lines, model="delay-0.02")
    first = field.mother.bear(field.life())
    await field.until(batch_id, lambda batch: batch.counts.total > 0)
    await anyio.sleep(pause)
    await _stop_between_transactions(field, first)
    history = History([f"r-{number}" for number in range(1, lines + 1)])
    await anyio.sleep(0.05)  # what it had sent by then has to arrive
    history.kill(field.asked(), await field.journalled(batch_id))
    second = field.mother.bear(field.life())
    await field.until(batch_id, lambda batch: batch.is_terminal)
    before = await field.store.batches.get(None, batch_id)
    os.kill(first, signal.SIGCONT)
    await _comes_out_right(field, batch_id, history)
    await field.stop(first)
    await field.stop(second)
    assert await field.store.batches.get(None, batch_id) == before


async def _stop_between_transactions(field: Field, pid: int) -> None:
    """One that is stopped while it writes to SQLite keeps the file locked: all wait for it, and nobody can take over."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        await anyio.sleep(0.05)
        with closing(sqlite3.connect(field.folder / "pronk.db", timeout=0.1, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                await anyio.sleep(0.01)
            else:
                other.execute("ROLLBACK")
                return
