"""Which level of requests in flight is the best, and what is compared with it."""

from __future__ import annotations

from pronk.engines.evidence import Seen
from pronk.engines.levels import Levels


def levels_with(rates: dict[float, float], center: float, workers: int = 1) -> Levels:
    levels = Levels(workers, 1024)
    levels.known = {level: Seen(rate / level, 0.001) for level, rate in rates.items()}
    levels.center, levels.drift = center, 0.001
    return levels


def test_of_levels_that_are_as_good_the_smallest_wins() -> None:
    levels = levels_with({100: 900, 130: 1000, 200: 1001}, 200)
    assert levels.least_good(is_rough=False) == 130


def test_the_knee_is_where_the_climb_first_gave_as_much() -> None:
    levels = levels_with({500: 1000}, 500)
    levels.climbed = {
        level: Seen(rate / level, 0.001) for level, rate in {64: 600, 120: 990, 128: 1010, 250: 1290}.items()
    }
    assert levels.knee() == 128


def test_nothing_below_a_slope_and_nothing_at_the_edge_is_tried() -> None:
    levels = levels_with({100: 700, 130: 880}, 130)
    levels.set_edge(140, 10.0)
    assert levels.neighbour(-0.09) is None
    assert levels.neighbour(0.09) is None
    assert levels.neighbour(0.045) == 136


def test_the_edge_is_outdated_when_answers_are_others() -> None:
    levels = levels_with({100: 700}, 100)
    assert not levels.is_outdated(10.0)
    levels.set_edge(140, 500.0)
    assert not levels.is_outdated(450.0)
    assert levels.is_outdated(250.0)


def test_a_worker_does_not_grow_by_taking_the_others_part() -> None:
    alone = levels_with({50: 500, 100: 670}, 50)
    shared = levels_with({50: 500, 100: 670}, 50, workers=2)
    assert alone.better() == 100
    assert shared.better() == 50
