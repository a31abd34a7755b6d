"""When to look above and below the level that was found, and how far: often where it pays, ever more rarely where not."""

from __future__ import annotations

import random
from typing import Final

LEAST_PATIENCE: Final = 3
_MOST_PATIENCE: Final = 48
"""Visits to the best level between two looks to one side: a look costs a visit, so in the end 4 % of its loss."""
_FALLEN_PATIENCE: Final = 12
_STRIDE: Final = 0.08
_LEAST_STRIDE: Final = 0.03
"""Below the knee an engine's rate repeats within 0.2 %, which tells levels 3 % apart; farther would be a storm at an edge."""
_MOST_STRIDE: Final = 0.3
_LONGEST_CAREFUL_STRIDE: Final = 0.16
_DRIFTS: Final = 12
"""Where measurements repeat less well, a stride is so many times what they differ by."""


class Glances:
    """The side that is looked to (0 at rest), the stride as a logarithm, and the visits of rest left for each side."""

    def __init__(self, workers: int, chance: random.Random) -> None:
        self.side = 0
        self.stride = _STRIDE
        self.rest = {1: LEAST_PATIENCE, -1: LEAST_PATIENCE}
        self._patience = {1: LEAST_PATIENCE, -1: LEAST_PATIENCE}
        self._workers = workers
        self._chance = chance

    def forget(self) -> None:
        """Look soon again: the engine is another one."""
        self.rest = {1: LEAST_PATIENCE, -1: LEAST_PATIENCE}
        self._patience = {1: LEAST_PATIENCE, -1: LEAST_PATIENCE}

    def next_side(self, *, is_below_pointless: bool) -> int:
        """Count a visit of rest and return the side whose turn it is; look there if `rest` of it is over."""
        for side in (1, -1):
            self.rest[side] -= 1
        side = 1 if self.rest[1] <= self.rest[-1] else -1
        if side < 0 and is_below_pointless:
            self.rest[side] = self._patience[side]
        return side

    def rest_from_above(self, least: int = 0) -> None:
        """Be patient with what lies above: the engine has said that it is too much, or has shown it."""
        self._patience[1] = self.rest[1] = min(_MOST_PATIENCE, max(least, 2 * self._patience[1]))

    def rest_after_fall(self) -> None:
        """Be patient with what lies above a level that was good for a while."""
        self.rest_from_above(_FALLEN_PATIENCE)

    def look_more(self) -> None:
        """It was worth it."""
        side, self.side = self.side, 0
        self._patience[side] = LEAST_PATIENCE
        self.rest[side] = 1 if self._workers == 1 else self._drawn(LEAST_PATIENCE)
        self.stride = min(_MOST_STRIDE if self._workers == 1 else _STRIDE, 2 * self.stride)

    def look_less(self, drift: float) -> None:
        """It was not."""
        side, self.side = self.side, 0
        self.stride = max(self.least_stride(drift), 0.5 * self.stride)
        self._patience[side] = min(_MOST_PATIENCE, 2 * self._patience[side])
        self.rest[side] = self._drawn(self._patience[side])

    def least_stride(self, drift: float) -> float:
        """Return the shortest stride that shows a difference when measurements of one level drift so much."""
        return min(_LONGEST_CAREFUL_STRIDE, max(_LEAST_STRIDE, _DRIFTS * drift))

    def _drawn(self, patience: int) -> int:
        """Return a rest. Workers that share a replica draw theirs: looks in step would each be taken for the other's."""
        if self._workers == 1:
            return patience
        return round(patience * self._chance.uniform(0.5, 1.5)) + self._chance.randrange(self._workers)
