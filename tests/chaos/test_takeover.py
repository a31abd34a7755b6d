"""How soon the work of a dead worker goes on: after its lease when nobody saw it die, at once when somebody did."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from tests.chaos.field import Field, Mother, mother, open_field

from pronk.app.host import free_the_dead
from pronk.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

LINES = 100


@pytest.fixture(scope="module")
def bearer() -> Iterator[Mother]:
    with mother() as bearing:
        yield bearing


def test_the_defaults_take_over_within_half_a_minute() -> None:
    """A lease that was renewed at the moment of death, and a heartbeat of whoever looks for late ones."""
    settings = Settings()
    assert settings.lease_seconds + 1.5 * settings.heartbeat_seconds <= 30


async def _seconds_until_it_goes_on(field: Field, *, seen: bool) -> float:
    """Kill a worker beside another that has nothing to do; return how long until a lost shard is claimed again."""
    batch_id = await field.add(LINES, model="delay-0.03")
    first = field.mother.bear(field.life())
    await field.until(batch_id, lambda batch: batch.counts.completed > 4)
    second = field.mother.bear(field.life())
    os.kill(first, signal.SIGKILL)
    killed_at = time.monotonic()
    await anyio.to_thread.run_sync(field.mother.bury, first)
    if seen:
        await free_the_dead(field.store)
    while max(attempt for _, attempt, _ in await field.store.shards.of_batch(batch_id)) < 2:  # noqa: ASYNC110
        await anyio.sleep(0.005)
    seconds = time.monotonic() - killed_at
    await field.until(batch_id, lambda batch: batch.is_terminal)
    await field.stop(second)
    return seconds


async def _times(folder: Path, bearer: Mother, *, times: int, seen: bool) -> list[float]:
    url, lease = f"sqlite://{folder}/pronk.db", 20.0 if seen else 1.5
    async with open_field(folder, url, bearer, lease_seconds=lease, heartbeat_seconds=0.1) as field:
        return sorted([await _seconds_until_it_goes_on(field, seen=seen) for _ in range(times)])


async def test_a_death_that_nobody_saw_costs_a_lease(tmp_path: Path, bearer: Mother) -> None:
    (seconds,) = await _times(tmp_path, bearer, times=1, seen=False)
    assert seconds > 1.0


async def test_a_death_that_was_seen_costs_nothing(tmp_path: Path, bearer: Mother) -> None:
    (seconds,) = await _times(tmp_path, bearer, times=1, seen=True)
    assert seconds < 10, "half of what the lease would have cost"


@pytest.mark.chaos
@pytest.mark.parametrize("seen", [True, False])
async def test_a_hundred_deaths(tmp_path: Path, bearer: Mother, seen: bool) -> None:  # noqa: FBT001
    seconds = await _times(tmp_path, bearer, times=100, seen=seen)
    assert seconds[98] < (1.4 if seen else 2.5)
