"""Batches while one call in a hundred fails, and while calls come twice as from a client whose answer was lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import anyio
import msgspec
import pytest
from tests.chaos.faults import now_and_then
from tests.chaos.stage import Stage, staged
from tests.store.databases import Opener

from pronk.domain.errors import PronkError, StoreOutageError
from pronk.store.database import Database, Transaction
from pronk.store.store import Store
from pronk.worker.patience import postponing

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("impatient"), pytest.mark.timeout(600)]
T = TypeVar("T")

LINES = 60
BATCHES = 3


class Repeating:
    """A `Database` that does a share of all writes twice; what the second one says is heard by nobody."""

    def __init__(self, database: Database, dice: random.Random, share: float) -> None:
        self._database = database
        self._dice = dice
        self._share = share
        self.repeated = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write(self, work: Callable[[Transaction], T], /) -> T:
        answer = await self._database.write(work)
        if self._dice.random() < self._share:
            self.repeated += 1
            with suppress(PronkError, *_REFUSALS):
                await self._database.write(work)
        return answer


def _refusals() -> tuple[type[Exception], ...]:
    import sqlite3

    import psycopg

    return (sqlite3.IntegrityError, psycopg.IntegrityError)


_REFUSALS = _refusals()


async def _all_come_out_right(stage: Stage, plan: Any, batches: int) -> None:
    calm = (await stage.run(lambda _: "", await stage.add(LINES))).files
    for _ in range(batches):
        outcome = await stage.run(plan, await stage.add(LINES))
        assert outcome.files == calm, stage.faults.struck


async def test_some_calls_may_fail(tmp_path: Path, opener: Opener) -> None:
    async with staged(tmp_path, opener) as stage:
        await _all_come_out_right(stage, now_and_then(random.Random(9).random, 0.03), BATCHES)


@pytest.mark.chaos
@pytest.mark.parametrize("share", [0.01, 0.1])
async def test_a_share_of_all_calls_may_fail(share: float, tmp_path: Path, opener: Opener) -> None:
    async with staged(tmp_path, opener) as stage:
        await _all_come_out_right(stage, now_and_then(random.Random(10).random, share), 25)


async def test_a_fifth_of_all_writes_may_come_twice(tmp_path: Path, opener: Opener) -> None:
    async with staged(tmp_path, opener) as stage:
        stage.world.tuning = msgspec.structs.replace(stage.world.tuning, lease_seconds=0.5)
        repeating = Repeating(opener(), random.Random(15), 0.2)
        twice = Store(repeating)
        await twice.open(now=1)
        calm = (await stage.run(lambda _: "", await stage.add(LINES))).files
        for _ in range(BATCHES):
            batch_id = await stage.add(LINES)
            stage.world.store = twice
            with anyio.fail_after(20):
                async with stage.world.working():
                    await stage._until_ended(batch_id)
            outcome = await stage.outcome(batch_id)
            assert outcome.files == calm
            assert outcome.sent.total() == LINES
        await twice.close()
    assert repeating.repeated > BATCHES


async def test_an_outage_that_several_tasks_met_is_an_outage() -> None:
    async def meet(error: Exception) -> None:
        raise error

    async def work(*errors: Exception) -> None:
        async with anyio.create_task_group() as group:
            for error in errors:
                group.start_soon(meet, error)

    await postponing(lambda: work(StoreOutageError("gone"), StoreOutageError("gone")), doing="a test")()
    with pytest.raises(ExceptionGroup):
        await postponing(lambda: work(StoreOutageError("gone"), ValueError("a fault")), doing="a test")()
