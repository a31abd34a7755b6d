"""The growth of a limit at the start: it doubles each latency for as long as the throughput grows with it."""

from __future__ import annotations

import math
from typing import Final

from pronk.engines.evidence import Evidence, Seen

FIRST: Final = 16
"""What any engine is sent at once."""
_PAYS: Final = 0.08
"""The share of a growth that throughput has to follow; what queues gives nothing, what is batched gives half and more."""
_STEEP: Final = 0.5
"""Above this share nothing queues, and answers tell of the level that they lived at instead of the one they began at."""
_STEEP_ROOM: Final = 1.6
"""How far beyond the last proof the limit goes there: answers lag by a latency, and twice as far floods an edge."""
_LEAST_BLUR: Final = 0.03
"""Answers come in batches, so that eight in a row look more alike than they are."""
_PLAIN: Final = math.log(2.0)
"""Twice the level without a gain is a queue, however noisy the engine is."""
_DROP: Final = 0.05
_FALL: Final = 0.93
_EDGE_ROOM: Final = 1.15


class Climb:
    """Reads one `Evidence` after the other. `target` may be grown to, `seen` is what levels gave, `edge` is too much.

    While the limit grows, an answer lived at more than it began with. Of an engine with free seats the first is the
    level that it tells of; of one that queues the second, since what came later waits behind. So the rate at the level
    where answers began is never too high, and the rate at the level that they lived at is right until something queues.
    """

    def __init__(self, most: int) -> None:
        self.target = 2.0 * FIRST
        self.seen: dict[float, Seen] = {}
        self.edge = math.inf
        self.has_fallen = False
        self.is_over = False
        self._most = float(most)
        self._proven = 0.0
        self._doubts = 0

    def take(self, evidence: Evidence, mean_work: float, limit: int) -> None:
        """Judge the latest answers."""
        lived, seen = evidence.mean_lived, evidence.seen(mean_work)
        best = max(self.seen, default=lived)
        if lived < 0.85 * best:
            return
        before = self.seen.setdefault(best, seen)
        gained = math.log(lived * seen.speed / (best * before.speed))
        grown = max(0.0, math.log(lived / best))
        blur = max(_LEAST_BLUR, math.hypot(seen.error, before.error))
        self._proven = max(self._proven, evidence.mean_level * seen.speed)
        self.has_fallen = lived * seen.speed < _FALL * self._proven
        if gained >= _PAYS * grown - (blur if grown < _PLAIN else 0.0):
            self._doubts = 0
            if lived > best and gained >= _PAYS * grown:
                self.seen[lived] = seen
            room = _STEEP_ROOM * lived if gained >= _STEEP * grown else 2.0 * evidence.mean_level
            self.target = min(self._most, max(self.target, room))
        else:
            self._doubts += 1
            self.target = min(self.target, float(limit))
        has_dropped = self._doubts > 0 and gained < -_DROP - 2 * blur
        self.edge = max(lived, _EDGE_ROOM * best) if self.has_fallen or has_dropped else math.inf
        self.is_over = self._doubts == 2 or self.has_fallen or lived > 0.9 * self._most
