"""A worker is killed before and after every single thing that it makes durable; the next one brings the batch to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog
from tests.chaos.field import Field, Mother, mother, open_field
from tests.chaos.history import History

from pronk.domain.batch import BatchStatus

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1800)]
log = structlog.get_logger()

LINES = 40
DURABLE = {
    "commit claim_duty",
    "commit start_batch+insert_shard+activate_share",
    "commit claim_shard+count_claim+charge_share",
    "commit finish_shard+count_finish+charge_share",
    "commit report_progress",
    "write journals",
    "fsync journals",
    "replace journals",
    "fsync journals folder",
    "write files",
    "fsync files",
    "replace files",
    "rmtree journals folder",
    "commit forget_events",
    "commit reclaim_of_worker+reclaim_duty_of_worker+forget_worker",
}
"""Writes that a batch, housekeeping and the end of a worker make each time, whatever else there may be."""

IDS = [f"r-{number}" for number in range(1, LINES + 1)]


@pytest.fixture(scope="module")
def bearer() -> Iterator[Mother]:
    with mother() as bearing:
        yield bearing


async def _points(field: Field) -> Counter[str]:
    """Run a batch undisturbed; return the points that its worker passed."""
    record = field.folder / "points.txt"
    batch_id = await field.add(LINES, model="delay-0.01")
    pid = field.mother.bear(field.life(record=str(record)))
    await field.until(batch_id, lambda batch: batch.is_terminal)
    await field.stop(pid)
    return Counter(record.read_text().splitlines())


async def _dies_and_is_survived(field: Field, point: str, pass_number: int) -> bool:
    """Return whether the worker came to the point, at the latest while it stopped. Housekeeping is due for each worker."""
    field.engine.requests.clear()
    await field.store._database.write(_make_chores_due)
    batch_id = await field.add(LINES, model="delay-0.01")
    history = History(IDS)
    pid = field.mother.bear(field.life(point=point, pass_number=pass_number))
    if await _ends_first(field, batch_id, pid):
        if not await field.stop(pid):
            return False
        history.kill(field.asked(), set(IDS))
    else:
        await field.bury(pid)
        history.kill(field.asked(), await field.journalled(batch_id))
    second = field.mother.bear(field.life())
    batch = await field.until(batch_id, lambda batch: batch.is_terminal)
    await field.stop(second)
    lines = [line["custom_id"] for line in await field.lines(batch.output_file_id)]
    assert (batch.status, batch.error_file_id) == (BatchStatus.COMPLETED, None), point
    assert history.verdict(lines, field.asked()) == {}, f"killed at {point!r}, pass {pass_number}"
    return True


def _make_chores_due(tx: Any) -> None:
    tx._connection.execute("DELETE FROM chore")


async def _ends_first(field: Field, batch_id: str, pid: int) -> bool:
    """Wait until the worker is dead or the batch has ended and the worker has nothing left to do."""
    rounds = 0
    while _lives(pid) and rounds < 40:
        batch = await field.store.batches.get(None, batch_id)
        rounds += batch.is_terminal
        await anyio.sleep(0.005)
    return rounds >= 40


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def _all(field: Field, times: int) -> dict[str, int]:
    """Return how often a worker died at each point."""
    points = await _points(field)
    died: dict[str, int] = {}
    for point in sorted(points):
        passes = [1 + number % points[point] for number in range(times)]
        died[point] = sum([await _dies_and_is_survived(field, point, number) for number in passes])
    return died


async def test_every_durable_write_may_be_the_last(tmp_path: Path, bearer: Mother) -> None:
    async with open_field(tmp_path, f"sqlite://{tmp_path}/pronk.db", bearer) as field:
        died = await _all(field, 1)
    assert {point.rpartition(" ")[0] for point, count in died.items() if count} >= DURABLE
    assert sum(died.values()) >= 60


@pytest.mark.chaos
async def test_every_durable_write_may_be_the_last_many_times(
    tmp_path: Path, bearer: Mother, database_url: str
) -> None:
    async with open_field(tmp_path, database_url, bearer) as field:
        died = await _all(field, 20)
    log.info("survived", points=len(died), kills=sum(died.values()), database=database_url[:6])
    assert sum(died.values()) >= 400
