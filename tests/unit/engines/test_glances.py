"""When a limiter looks above and below."""

from __future__ import annotations

import random

from pronk.engines.glances import Glances


def visits_until_a_look(glances: Glances) -> int:
    count = 1
    while glances.rest[glances.next_side(is_below_pointless=True)] > 0:
        count += 1
    return count


def test_what_was_not_worth_it_is_looked_at_ever_more_rarely() -> None:
    glances, waits = Glances(1, random.Random(1)), []
    for _ in range(6):
        waits.append(visits_until_a_look(glances))
        glances.side = 1
        glances.look_less(0.001)
    assert waits == [3, 6, 12, 24, 48, 48]
    assert glances.stride == glances.least_stride(0.001)


def test_what_was_worth_it_is_looked_at_again_at_once_and_farther() -> None:
    glances = Glances(1, random.Random(1))
    before, glances.side = glances.stride, 1
    glances.look_more()
    assert glances.stride == 2 * before
    assert visits_until_a_look(glances) == 1


def test_workers_do_not_look_in_step() -> None:
    chance, rests = random.Random(1), set()
    for _ in range(8):
        glances = Glances(4, chance)
        glances.side = 1
        glances.look_less(0.001)
        rests.add(glances.rest[1])
    assert len(rests) > 3
