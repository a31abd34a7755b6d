"""How far a limit grows at the start."""

from __future__ import annotations

import math

import pytest

from pronk.engines.climb import Climb
from pronk.engines.evidence import Evidence


def answers(began_at: float, lived_at: float, rate: float) -> Evidence:
    """Return answers of one token that lived among so many and came at so much a second."""
    evidence, latency = Evidence(), lived_at / rate
    for _ in range(32):
        evidence.add(began_at, 1.0, latency)
        evidence.lived += lived_at * latency
    return evidence


def climb_along(*levels: tuple[float, float, float]) -> Climb:
    climb = Climb(1024)
    for began, lived, rate in levels:
        climb.take(answers(began, lived, rate), 1.0, round(lived))
    return climb


def test_it_goes_on_while_throughput_grows() -> None:
    climb = climb_along((16, 24, 240), (30, 45, 400), (60, 90, 700))
    assert climb.target == pytest.approx(1.6 * 90)
    assert not climb.is_over


def test_a_queue_ends_it_without_an_edge() -> None:
    climb = climb_along((16, 24, 240), (24, 48, 240), (40, 60, 240))
    assert climb.is_over
    assert not climb.has_fallen
    assert climb.edge == math.inf
    assert climb.target < 60


def test_a_fall_is_an_edge() -> None:
    climb = climb_along((64, 100, 1000), (90, 150, 1400), (140, 200, 700))
    assert climb.is_over
    assert climb.has_fallen
    assert climb.edge == pytest.approx(200)
    assert max(climb.seen) == pytest.approx(150)


def test_work_that_runs_out_tells_nothing() -> None:
    climb = climb_along((64, 100, 1000), (20, 20, 200), (10, 10, 100), (1, 1, 10))
    assert not climb.is_over
    assert list(climb.seen) == pytest.approx([100])
