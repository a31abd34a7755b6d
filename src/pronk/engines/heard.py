"""What an engine said of itself of late, as far as it tells how many requests it wants."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from pronk.engines.gauges import Gauges

_LOOKS: Final = 4
_QUEUE: Final = 0.05
"""Waiting sequences, as a share of those that run, that fill every seat which becomes free; more are a queue."""
_OURS: Final = 0.9
_CALM_LATENCIES: Final = 3


class Heard:
    """The last few looks, and those since `forget` at which all that the engine had was ours."""

    def __init__(self) -> None:
        self._looks: deque[Gauges] = deque(maxlen=_LOOKS)
        self._ours: deque[Gauges] = deque(maxlen=_LOOKS)
        self._preemptions = -1.0
        self._preempted_at = -math.inf

    def forget(self) -> None:
        """What was seen of our queue is of another level."""
        self._ours.clear()

    def take(self, now: float, gauges: Gauges, flying: int) -> bool:
        """Take a look, with so many requests of ours out; return whether sequences were preempted since the last."""
        preempted = gauges.preemptions > self._preemptions >= 0
        self._preemptions = gauges.preemptions
        if preempted:
            self._preempted_at = now
        self._looks.append(gauges)
        if is_ours(gauges, flying):
            self._ours.append(gauges)
        return preempted

    @property
    def is_whole(self) -> bool:
        """Whether there were looks enough; growth without an answer ends here, since memory fills only as answers grow."""
        return len(self._ours) == _LOOKS

    def is_calm(self, now: float, latency: float) -> bool:
        """Whether what waits in the engine is new, and not preempted."""
        return now - self._preempted_at > _CALM_LATENCIES * latency

    def has_room(self) -> bool:
        """Whether the engine shows no queue: then fewer requests cannot do better."""
        room = (look.waiting <= max(1.0, _QUEUE * look.running) for look in self._looks)
        return len(self._looks) > 0 and all(room)

    def filled_seats(self) -> float | None:
        """Return how many sequences run while a queue of ours waits, or None where none does."""
        if not self.is_whole:
            return None
        seats = max(look.running for look in self._ours)
        queue = min(look.waiting for look in self._ours)
        return seats if queue > max(1.0, _QUEUE * seats) else None


def is_ours(gauges: Gauges, flying: int) -> bool:
    """Whether nobody else uses the engine to speak of."""
    return flying >= _OURS * (gauges.running + gauges.waiting)
