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
import anyio.to_thread
import pytest
import structlog
from tests.chaos.field import Field, Mother, mother, open_field
from tests.chaos.history import History
from tests.chaos.storage import s3_storage

from pronk.app.host import free_the_dead
from pronk.domain.batch import BatchStatus
from pronk.domain.ids import BatchId

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(7200)]
log = structlog.get_logger()


@pytest.fixture(scope="module")
def bearer() -> Iterator[Mother]:
    with mother() as bearing:
        yield bearing


async def _killed_again_and_again(
    field: Field, dice: random.Random, *, lines: int, kills: int
) -> tuple[History, int]:
    """Run one batch under two workers, either of which is killed and replaced after a random while.

    Return how many kills there were before the batch had ended; no other counts.
    """
    field.engine.requests.clear()
    batch_id = await field.add(lines, model="delay-0.02")
    history = History([f"r-{number}" for number in range(1, lines + 1)])
    pids = [field.mother.bear(field.life()) for _ in range(2)]
    done = 0
    while done < kills:
        await _some_work(field, batch_id, dice)
        victim = pids.pop(dice.randrange(2))
        if not await _killed_while_running(field, batch_id, victim, pids[0], history):
            break
        done += 1
        pids.append(field.mother.bear(field.life()))
    await _comes_out_right(field, batch_id, history)
    for pid in pids:
        await field.stop(pid)
    return history, done


async def _some_work(field: Field, batch_id: BatchId, dice: random.Random) -> None:
    """Return while lines are in flight, mostly; else whatever the workers do, such as starting."""
    if dice.random() < 0.2:
        await anyio.sleep(dice.uniform(0.0, 0.25))
        return
    goal = field.engine.request_count + dice.randrange(1, 50)
    await field.until(batch_id, lambda batch: batch.is_terminal or field.engine.request_count >= goal)
    await anyio.sleep(dice.uniform(0.0, 0.02))


async def _killed_while_running(
    field: Field, batch_id: BatchId, victim: int, other: int, history: History
) -> bool:
    """Kill a worker and note what was in flight then, for which the other stands still; False when the batch had ended."""
    os.kill(other, signal.SIGSTOP)
    try:
        os.kill(victim, signal.SIGKILL)
        await anyio.to_thread.run_sync(field.mother.bury, victim)
        journalled = await field.journalled(batch_id)
        batch = await field.store.batches.get(None, batch_id)
        if not batch.is_terminal:
            history.kill(field.asked(), journalled)
    finally:
        os.kill(other, signal.SIGCONT)
    await free_the_dead(field.store)
    return not batch.is_terminal


async def _comes_out_right(field: Field, batch_id: BatchId, history: History) -> None:
    batch = await field.until(batch_id, lambda batch: batch.is_terminal)
    lines = [line["custom_id"] for line in await field.lines(batch.output_file_id)]
    assert (batch.status, batch.error_file_id) == (BatchStatus.COMPLETED, None)
    assert history.verdict(lines, field.asked()) == {}


async def _many(field: Field, *, lines: int, kills: int, in_one: int, seed: int) -> None:
    """Kill so often, at most `in_one` times in one batch."""
    dice = random.Random(seed)  # chance, not secrecy
    batches = done = in_flight = 0
    while done < kills:
        most = min(in_one, kills - done)
        history, killed = await _killed_again_and_again(field, dice, lines=lines, kills=most)
        batches, done, in_flight = batches + 1, done + killed, in_flight + history.in_flight
        log.info("survived", batches=batches, kills=done, in_flight_at_kills=in_flight)


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
        await _many(field, lines=600, kills=15, in_one=15, seed=1)


@pytest.mark.chaos
async def test_five_hundred_kills_lose_and_double_nothing(
    tmp_path: Path, bearer: Mother, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _field(tmp_path, bearer, database_url, monkeypatch) as field:
        await _many(field, lines=2000, kills=500, in_one=50, seed=2)


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
