"""Rates per project: so many requests and uploads a minute, evenly refilled, counted in this process."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import msgspec

_MAX: Final = 10_000


class Reading(msgspec.Struct, frozen=True):
    """What a project may still do at one moment. `retry_after` is 0 when this once was allowed; times are seconds."""

    limit: int
    remaining: int
    reset_seconds: float
    retry_after: float

    def headers(self, noun: str) -> Iterator[tuple[bytes, bytes]]:
        """Yield OpenAI's headers about it; `noun` is ``requests`` or ``tokens``."""
        yield f"x-ratelimit-limit-{noun}".encode(), str(self.limit).encode()
        yield f"x-ratelimit-remaining-{noun}".encode(), str(self.remaining).encode()
        yield f"x-ratelimit-reset-{noun}".encode(), span(self.reset_seconds).encode()


class _Bucket(msgspec.Struct):
    filled: float
    at: float


class Rates:
    """Token buckets by name, those of the last ten thousand names."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str, per_minute: int, *, now: float) -> Reading:
        """Take one from a bucket that holds a minute's worth; nothing is taken when it is empty."""
        bucket = self._buckets.pop(name, None) or _Bucket(float(per_minute), now)
        speed = per_minute / 60.0
        filled = min(float(per_minute), bucket.filled + max(0.0, now - bucket.at) * speed)
        is_allowed = filled >= 1.0
        filled -= 1.0 if is_allowed else 0.0
        self._buckets[name] = _Bucket(filled, now)
        if len(self._buckets) > _MAX:
            self._buckets.popitem(last=False)
        return Reading(
            per_minute,
            int(filled),
            (per_minute - filled) / speed,
            0.0 if is_allowed else (1.0 - filled) / speed,
        )


def span(seconds: float) -> str:
    """Return a time as OpenAI's headers write it: ``17ms``, ``6.3s``, ``6m0s``, ``2h5m0s``."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < 60:
        return f"{round(seconds, 1):g}s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"
