"""What fetching and caches did, for the metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pronk.domain.errors import MediaError
from pronk.media.budget import Budget
from pronk.media.cache import Medium, MemoryCache
from pronk.telemetry import Counts, Tally
from pronk.telemetry.metrics import (
    CACHE_BYTES,
    CACHE_HITS,
    CACHE_MISSES,
    FETCH_BYTES,
    FETCH_SECONDS,
    FETCHES,
    PREFETCHED,
)


class Measured:
    """What happened since it was last shown. `ticks` gives seconds that never go back."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._hits = Counts()
        self._misses = 0
        self._fetches = Counts()
        self._bytes = Counts()
        self._seconds: dict[str, Tally] = {}

    def hit(self, tier: Literal["memory", "disk", "flight"]) -> None:
        """Count a reference that was not asked for where it points to."""
        self._hits[tier,] += 1

    def begin(self) -> float:
        """Count that something was not at hand; return when its fetch begins."""
        self._misses += 1
        return self._ticks()

    def fetched(self, scheme: str, began_at: float, held: Medium | None, medium: Medium) -> None:
        """Count a fetch that went well; it gave the bytes of `held` where these are still the object's."""
        if held is not None and medium.data is held.data:
            self._ended(scheme, "unchanged", began_at)
        else:
            self._bytes[scheme,] += len(medium.data)
            self._ended(scheme, "ok", began_at)

    def failed(self, scheme: str, began_at: float, error: MediaError) -> None:
        """Count a fetch that did not."""
        self._ended(scheme, error.code, began_at)

    def show(self, memory: MemoryCache, budget: Budget) -> None:
        """Put everything into the metrics."""
        self._hits.pour(CACHE_HITS)
        CACHE_MISSES.inc(self._misses)
        self._misses = 0
        self._fetches.pour(FETCHES)
        self._bytes.pour(FETCH_BYTES)
        for scheme, seconds in self._seconds.items():
            seconds.pour(FETCH_SECONDS.labels(scheme))
        CACHE_BYTES.set(memory.used)
        PREFETCHED.set(budget.used)

    def _ended(self, scheme: str, outcome: str, began_at: float) -> None:
        self._fetches[scheme, outcome] += 1
        seconds = self._seconds.get(scheme)
        if seconds is None:
            seconds = self._seconds[scheme] = Tally(FETCH_SECONDS)
        seconds.add(self._ticks() - began_at)
