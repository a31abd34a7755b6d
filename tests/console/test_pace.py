"""How long a batch still takes, as the pages say it: on engines whose true pace is known."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from pronk.console.pace import Paces
from pronk.domain.batch import Batch, BatchStatus, Counts
from pronk.domain.ids import DEFAULT_PROJECT, FileId, new_batch_id
from pronk.domain.job import DEFAULT_JOB, Job

BEGAN = 1_700_000_000


def make_batch(total: int) -> Batch:
    return Batch(
        id=new_batch_id(),
        project_id=DEFAULT_PROJECT,
        status=BatchStatus.IN_PROGRESS,
        endpoint="/v1/chat/completions",
        input_file_id=FileId("file-1"),
        completion_window="unlimited",
        job=Job(id=DEFAULT_JOB),
        created_at=BEGAN - 2,
        in_progress_at=BEGAN,
        counts=Counts(total=total),
    )


def at(batch: Batch, done: float) -> Batch:
    failed = int(done) // 50
    return msgspec.structs.replace(batch, counts=Counts(batch.counts.total, int(done) - failed, failed))


@pytest.mark.parametrize(
    ("total", "rate"), [(50_000, 400.0), (50_000, 3.0), (2_000, 20.0), (1_000_000, 9_000.0)]
)
@pytest.mark.parametrize("first_look", [0.0, 0.05, 0.5])
def test_the_time_left_is_within_a_fifth_after_a_twentieth_of_the_lines(
    total: int, rate: float, first_look: float
) -> None:
    paces, batch, chance = Paces(), make_batch(total), Random(total)
    whole = total / rate
    now, looked = first_look * whole + 1, 0
    while now < 0.95 * whole:
        parts = rate * (now - chance.random())
        pace = paces.look(at(batch, max(0.0, parts)), BEGAN + now)
        if now >= 0.05 * whole + 1:
            assert pace.left == pytest.approx(whole - now, rel=0.2), now
            looked += 1
        now += 1 if whole < 1000 else whole / 500
    assert looked > 20


def test_an_engine_that_starts_late_is_known_a_minute_after_it_started() -> None:
    paces, batch, rate, late = Paces(), make_batch(50_000), 100.0, 90.0
    for now in range(1, 600):
        done = max(0.0, rate * (now - late))
        pace = paces.look(at(batch, done), BEGAN + now)
        if now >= late + 60:
            assert pace.left == pytest.approx((50_000 - done) / rate, rel=0.2), now


def test_nothing_done_says_nothing() -> None:
    paces, batch = Paces(), make_batch(1000)
    assert paces.look(batch, BEGAN + 100).left is None
    assert paces.look(at(batch, 0), BEGAN + 200).rate is None
