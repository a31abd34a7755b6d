"""Ids sort by age, also those of one millisecond, and are hard to guess."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from pronk.domain.ids import created_ms, new_batch_id, new_id


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("pronk.domain.ids.time.time_ns", lambda: 1_700_000_000_123_000_000)
    return 1_700_000_000_123


def test_ids_of_one_millisecond_sort_by_age(stopped_clock: int) -> None:
    ids = [new_batch_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000
    assert {created_ms(each, "batch_") for each in ids} == {stopped_clock}
    assert {len(each) for each in ids} == {len("batch_") + 27}


def test_neighbours_are_far_apart(stopped_clock: int) -> None:
    numbers = [int(new_id(""), 16) for _ in range(100)]
    steps = [after - before for before, after in pairwise(numbers)]
    assert len(set(steps)) == len(steps)
    assert sum(steps) > 100 * 2**28


def test_threads_make_no_id_twice() -> None:
    with ThreadPoolExecutor(4) as threads:
        ids = list(threads.map(lambda _: new_id(""), range(2000)))
    assert len(set(ids)) == 2000


def test_an_id_tells_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = created_ms(new_batch_id(), "batch_")
    assert made is not None
    assert before <= made <= time.time_ns() // 1_000_000
