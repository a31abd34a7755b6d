"""How fast batches go: done lines at a few moments of the last minute, kept while somebody looks. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

import msgspec

from pronk.domain.batch import Batch

_SECONDS: Final = 60.0
_MAX: Final = 512
_LEAST_SECONDS: Final = 4.0
_SURE_SECONDS: Final = 6.0
"""Before that the mean since the start tells more of the start than of the pace: nothing is said of the time left."""


class Pace(msgspec.Struct, frozen=True):
    """Lines a second, and seconds until the last one; None where nobody can know."""

    rate: float | None = None
    left: float | None = None


class Paces:
    """The moments of every batch that was looked at lately."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    def look(self, batch: Batch, now: float) -> Pace:
        """Note how far a batch is and return its pace: over the last minute, or since its start where that is all there is."""
        counts = batch.counts
        done = counts.completed + counts.failed
        if batch.status != "in_progress" or batch.in_progress_at is None:
            return Pace(rate=mean_rate(batch))
        seen = self._moments(batch.id)
        if not seen or now - seen[-1][0] >= 1:
            seen.append((now, done))
        while now - seen[0][0] > _SECONDS:
            seen.popleft()
        slope, mean = _slope(seen), mean_rate(batch, now)
        is_sure = slope is not None or now - batch.in_progress_at >= _SURE_SECONDS
        rate = slope or mean
        return Pace(rate, (counts.total - done) / rate if rate and is_sure else None)

    def _moments(self, batch_id: str) -> deque[tuple[float, int]]:
        seen = self._seen.setdefault(batch_id, deque())
        self._seen.move_to_end(batch_id)
        if len(self._seen) > _MAX:
            self._seen.popitem(last=False)
        return seen


def mean_rate(batch: Batch, now: float | None = None) -> float | None:
    """Return done lines a second from the start to the end, or until now."""
    end = now or batch.finalizing_at or batch.completed_at or batch.cancelling_at
    if batch.in_progress_at is None or end is None:
        return None
    return (batch.counts.completed + batch.counts.failed) / max(1.0, end - batch.in_progress_at) or None


def _slope(seen: deque[tuple[float, int]]) -> float | None:
    """Return the pace since the first lines were done; what came before is how long an answer takes."""
    last_at, last = seen[-1]
    first_at, first = next((moment for moment in seen if moment[1]), seen[-1])
    return (
        (last - first) / (last_at - first_at)
        if last_at - first_at >= _LEAST_SECONDS and last > first
        else None
    )
