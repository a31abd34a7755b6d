"""What this process waits for: the log hears of an outage at once, then once a minute, and when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final, Literal, get_args

import structlog

from pronk.domain.errors import BlobOutageError, OutageError
from pronk.telemetry.metrics import OUTAGE

Part = Literal["database", "storage", "engine"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
TELL_SECONDS = 60.0
log = structlog.get_logger()


class Outages:
    """Outages by part. Any number of callers may wait for a part; its outage ends with the last of them.

    A part that comes and goes is told of no more often than one that stays away. `clock` gives seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[Part, set[Hashable]] = {part: set() for part in PARTS}
        self._since = dict.fromkeys(PARTS, 0.0)
        self._told_at = dict.fromkeys(PARTS, float("-inf"))
        for part in PARTS:
            OUTAGE.labels(part).set(0)

    @property
    def parts(self) -> frozenset[Part]:
        """What is waited for now."""
        return frozenset(part for part in PARTS if self._waiting[part])

    def wait(self, part: Part, who: Hashable, **facts: object) -> None:
        """Note that `who` waits for a part, after every try that failed; `facts` go into the log."""
        now, waiting = self._clock(), self._waiting[part]
        if not waiting:
            self._since[part] = now
            OUTAGE.labels(part).set(1)
        waiting.add(who)
        if now - self._told_at[part] >= TELL_SECONDS:
            self._told_at[part] = now
            log.warning("outage", part=part, seconds=round(now - self._since[part], 1), **facts)

    def over(self, who: Hashable) -> None:
        """Note that `who` waits for nothing any more."""
        for part, waiting in self._waiting.items():
            if who in waiting:
                waiting.discard(who)
                if not waiting:
                    self._end(part)

    def _end(self, part: Part) -> None:
        OUTAGE.labels(part).set(0)
        if self._told_at[part] >= self._since[part]:
            log.warning("outage over", part=part, seconds=round(self._clock() - self._since[part], 1))


def part_of(outage: OutageError) -> Part:
    """Return which part an error is about."""
    return "storage" if isinstance(outage, BlobOutageError) else "database"


OUTAGES: Final = Outages()
