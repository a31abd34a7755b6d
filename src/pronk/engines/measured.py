"""What the replicas of a pool did and how they stand, for the metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pronk.telemetry import OUTAGES, Tally
from pronk.telemetry.metrics import (
    ENGINE_IN_FLIGHT,
    ENGINE_LIMIT,
    ENGINE_REQUESTS,
    ENGINE_SECONDS,
    ENGINE_UP,
)

if TYPE_CHECKING:
    from pronk.engines.pool import Pool
    from pronk.engines.replica import Replica


class Measured(Tally):
    """The answers of one replica since they were last shown."""

    def __init__(self) -> None:
        super().__init__(ENGINE_SECONDS)
        self._endings: defaultdict[int | str, int] = defaultdict(int)

    def answered(self, status: int, seconds: float) -> None:
        """Count a whole answer. Every request pays for this, so it is `add` written out: a third of a microsecond."""
        self._endings[status] += 1
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def ended(self, ending: int | str) -> None:
        """Count what has no time of a whole answer: an error's code, or the status of a stream."""
        self._endings[ending] += 1

    def show(self, engine: str, replica: str) -> None:
        """Put everything into the metrics."""
        for ending, count in self._endings.items():
            ENGINE_REQUESTS.labels(engine, replica, str(ending)).inc(count)
        self._endings.clear()
        self.pour(ENGINE_SECONDS.labels(engine))


def show_pool(pool: Pool) -> None:
    """Show what happened to a pool, and how it stands."""
    for replica in pool.replicas:
        replica.measured.show(pool.name, replica.name)
        ENGINE_IN_FLIGHT.labels(pool.name, replica.name).set(replica.in_flight)
        ENGINE_UP.labels(pool.name, replica.name).set(replica.is_up)
    if pool.is_out:
        OUTAGES.wait("engine", pool, engine=pool.name)
    else:
        OUTAGES.over(pool)


def show_limits(pools: Iterable[Pool]) -> None:
    """Show how many requests this process may have in flight; only a worker is held to it."""
    for pool in pools:
        for replica in pool.replicas:
            ENGINE_LIMIT.labels(pool.name, replica.name).set(_limit(replica))


def _limit(replica: Replica) -> int:
    return replica.limit if replica.is_up else 0
