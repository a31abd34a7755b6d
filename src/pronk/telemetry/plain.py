"""Measuring where a microsecond counts: plain numbers on the way, put into the metrics about once a second.

A metric of a worker is a file that other processes read, so one addition to it takes microseconds. All of this belongs to
the event loop's thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import prometheus_client

_sources: Final[list[Callable[[], None]]] = []


class Counts(Counter[tuple[str, ...]]):
    """Amounts by the labels of one metric."""

    def pour(self, into: prometheus_client.Counter) -> None:
        """Add the amounts to the metric and begin again at nothing."""
        for labels, amount in self.items():
            into.labels(*labels).inc(amount)
        self.clear()


class Tally:
    """Seconds, sorted into the buckets of one histogram."""

    def __init__(self, histogram: prometheus_client.Histogram) -> None:
        self._bounds = histogram._upper_bounds  # noqa: SLF001  # the library only takes one observation at a time
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Take one observation."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def pour(self, into: prometheus_client.Histogram) -> None:
        """Add the observations to a labelled histogram and begin again at none."""
        for bucket, count in zip(into._buckets, self._counts, strict=True):  # noqa: SLF001
            if count:
                bucket.inc(count)
        into._sum.inc(self._sum)  # noqa: SLF001
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0


@contextmanager
def shown(*sources: Callable[[], None]) -> Iterator[None]:
    """Let `show` call `sources`, which put what they know into the metrics, as long as the block runs and at its end."""
    _sources.extend(sources)
    try:
        yield
    finally:
        for source in sources:
            source()
            _sources.remove(source)


def show() -> None:
    """Put into the metrics what was measured in plain numbers since the last time, and what there is now."""
    for source in _sources:
        source()
