"""What an engine's own words say about how many requests it wants."""

from __future__ import annotations

from pronk.engines.gauges import Gauges
from pronk.engines.heard import Heard


def heard(*looks: Gauges, flying: int = 100) -> Heard:
    told = Heard()
    for second, look in enumerate(looks):
        told.take(float(second), look, flying)
    return told


def test_a_queue_of_ours_shows_the_seats() -> None:
    assert heard(*[Gauges(64.0, 36.0)] * 4).filled_seats() == 64
    assert heard(*[Gauges(64.0, 36.0)] * 3).filled_seats() is None
    assert heard(*[Gauges(98.0, 2.0)] * 4).filled_seats() is None


def test_a_queue_of_others_shows_nothing() -> None:
    told = heard(*[Gauges(64.0, 500.0)] * 4)
    assert told.filled_seats() is None
    assert not told.has_room()


def test_without_a_queue_there_is_room() -> None:
    assert heard(Gauges(64.0, 0.0), Gauges(64.0, 3.0)).has_room()
    assert not Heard().has_room()


def test_a_preemption_is_told_once_and_disturbs_for_some_latencies() -> None:
    told = heard(Gauges(64.0, 0.0, preemptions=5.0))
    assert told.take(10.0, Gauges(64.0, 0.0, preemptions=6.0), 64)
    assert not told.take(11.0, Gauges(64.0, 0.0, preemptions=6.0), 64)
    assert not told.is_calm(15.0, 2.0)
    assert told.is_calm(17.0, 2.0)
