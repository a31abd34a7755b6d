"""What is known of levels of requests in flight, and which of them is the best."""

from __future__ import annotations

import math
from typing import Final

from pronk.engines.evidence import Seen

STEPS: Final = (0.35, 0.18, 0.09, 0.045, 0.0225)
"""Logarithms of the factors between neighbours that are compared, one after the other."""
_PRICE: Final = 0.015
"""How much of the throughput a level e times as high must gain, to be worth its queue."""
_FLAT: Final = 0.06
"""The loss that ends the long steps down."""
_STEEP: Final = 0.4
"""The share of a growth that throughput follows on the slope below a knee or an edge: there nothing queues."""
_EDGE: Final = 0.98
"""Nearer to a level that fell than this nothing is tried: storms come and go with chance there."""
_OTHER_WORK: Final = 0.3
"""A change of the mean work, as a logarithm, that moves the edge of an engine's memory."""


class Levels:
    """Levels with what they gave, the best of them, and the edge: a level where the throughput fell."""

    def __init__(self, workers: int, most: int) -> None:
        self.known: dict[float, Seen] = {}
        self.climbed: dict[float, Seen] = {}
        self.center = 0.0
        self.edge = math.inf
        self.drift = 0.005
        self._edge_work = 0.0
        self._workers = workers
        self._most = most

    def set_edge(self, level: float, mean_work: float) -> None:
        """Take a level for too much, with answers like the latest."""
        self.edge, self._edge_work = level, mean_work

    def is_outdated(self, mean_work: float) -> bool:
        """Whether answers have become so much longer or shorter that the edge is elsewhere."""
        return self._edge_work > 0 and abs(math.log(mean_work / self._edge_work)) > _OTHER_WORK

    def is_beyond(self, level: float) -> bool:
        """Whether a level is at the edge or above."""
        return level >= _EDGE * self.edge

    def best(self) -> float:
        """Return the level with the highest worth."""
        return max(self.known, key=self.worth)

    def worth(self, level: float) -> float:
        """Return the logarithm of the throughput at a level, less its price; the other workers are at the center."""
        others = (self._workers - 1) * (self.center or level)
        return math.log((level + others) * self.known[level].speed) - _PRICE * math.log(level)

    def error(self, level: float, other: float) -> float:
        """Return the standard error of the difference in worth."""
        return math.hypot(self.known[level].error, self.known[other].error, self.drift)

    def least_good(self, *, is_rough: bool) -> float:
        """Return the smallest level that is as good as the best, as far as the noise lets us see.

        Long queues hide small differences, so the first long steps down go on until a loss is plain.
        """
        best = self.best()

        def is_good(level: float) -> bool:
            slack = _FLAT if is_rough else 0.5 * self.error(level, best)
            return self.worth(level) >= self.worth(best) - slack

        return min(filter(is_good, self.known))

    def better(self) -> float:
        """Return the best level where it is better than the center by more than the noise, else the center."""
        if self.center not in self.known:
            return self.center
        best = self.best()
        gain = self.worth(best) - self.worth(self.center)
        return best if gain > 0.5 * self.error(best, self.center) else self.center

    def knee(self) -> float:
        """Return the smallest level that gave as much while the limit grew as the center does now, within the noise."""
        center = self.known[self.center]
        rate = self.center * center.speed * math.exp(-math.hypot(center.error, self.drift))
        good = (
            level for level, seen in self.climbed.items() if level * seen.speed >= rate * (1 - seen.error)
        )
        return float(round(min(good, default=self.center)))

    def is_climbing(self, target: float) -> bool:
        """Whether the level just looked at is the best by so much that the next should be well above it."""
        below = [level for level in self.known if level < target]
        if not below or target != max(self.known) or self.center != target or target >= self._most:
            return False
        step = math.log(target / max(below))
        return self.worth(target) - self.worth(max(below)) > _STEEP * step

    def neighbour(self, step: float) -> float | None:
        """Return the level a step from the center, or None where something is known or the noise hides the difference."""
        level = round(self.center * math.exp(step))
        if abs(step) < 4 * self.drift or not 1 <= level <= self._most or level == self.center:
            return None
        near = 0.6 * abs(step)
        if any(abs(math.log(known / level)) < near and known != self.center for known in self.known):
            return None
        if self.is_beyond(level) or (step < 0 and self._is_steep()):
            return None
        return float(level)

    def _is_steep(self) -> bool:
        """Whether what is known below is so much worse that the best cannot lie between."""
        rates = {level: level * seen.speed for level, seen in {**self.climbed, **self.known}.items()}
        below = [level for level in rates if level < 0.96 * self.center]
        if not below or self.center not in self.known:
            return False
        last = max(below)
        return math.log(rates[self.center] / rates[last]) > _STEEP * math.log(self.center / last)
