"""What answers tell of an engine at some level of requests in flight, comparable although answers differ in length."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec

_PART = 8


class Seen(msgspec.Struct, frozen=True):
    """What a level gave: work per second for one request, and the relative error of that."""

    speed: float
    error: float


class Evidence(msgspec.Struct):
    """Sums over answers, enough to fit ``latency = a + b · work`` and so to compare answers of unlike lengths."""

    count: int = 0
    level: float = 0.0
    lived: float = 0.0
    work: float = 0.0
    latency: float = 0.0
    work_square: float = 0.0
    work_latency: float = 0.0
    parts: list[tuple[int, float, float]] = msgspec.field(default_factory=lambda: [(0, 0.0, 0.0)])

    def add(self, level: float, work: float, latency: float) -> None:
        """Count an answer that lived at `level`."""
        self.count += 1
        self.level += level * latency
        self.work += work
        self.latency += latency
        self.work_square += work * work
        self.work_latency += work * latency
        if self.count % _PART == 0:
            self.parts.append((self.count, self.work, self.latency))

    def seen(self, mean_work: float) -> Seen:
        """Return what a request got, were all answers worth `mean_work`; the error is from parts of the evidence."""
        slope = self._slope()
        whole = _fitted((self.count, self.work, self.latency), slope, mean_work)
        parts = [
            _fitted((b[0] - a[0], b[1] - a[1], b[2] - a[2]), slope, mean_work)
            for a, b in pairwise(self.parts)
        ]
        if len(parts) < 2:
            return Seen(mean_work / whole, 0.05)
        mean = sum(parts) / len(parts)
        spread = sum((part - mean) ** 2 for part in parts) / (len(parts) - 1)
        return Seen(mean_work / whole, math.sqrt(spread / len(parts)) / mean)

    def _slope(self) -> float:
        work, latency = self.work / self.count, self.latency / self.count
        spread = self.work_square / self.count - work * work
        if spread <= 1e-6 * work * work:
            return 0.0
        return max(0.0, (self.work_latency / self.count - work * latency) / spread)

    @property
    def mean_level(self) -> float:
        """The level that these answers were counted at."""
        return self.level / self.latency if self.latency else 0.0

    @property
    def mean_lived(self) -> float:
        """How many requests were out on average while these were."""
        return self.lived / self.latency if self.latency else 0.0


def _fitted(sums: tuple[int, float, float], slope: float, mean_work: float) -> float:
    count, work, latency = sums
    return max(latency / count + slope * (mean_work - work / count), 0.1 * latency / count, 1e-9)
