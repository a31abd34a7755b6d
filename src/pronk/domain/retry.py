"""When to try a request again, and after how long. Pure: chance comes in as an argument."""

from __future__ import annotations

import msgspec

RETRIABLE_STATUSES = frozenset({408, 409, 425, 429}) | frozenset(range(500, 600)) - {501, 505}
"""Answers of an engine that another try may change."""


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how patiently. `max_tries` counts the first one; delays are seconds."""

    max_tries: int = 6
    first_delay: float = 0.25
    max_delay: float = 30.0
    max_retry_after: float = 120.0

    def delay(self, tries: int, *, chance: float, retry_after: float | None = None) -> float:
        """Return the wait after `tries` failed tries (1 or more).

        Doubles each time up to `max_delay`, spread by `chance` (0..1) over its upper half. What the engine asks for
        in `retry_after` is a floor, itself bounded.
        """
        base = min(self.max_delay, self.first_delay * 2.0 ** min(tries - 1, 32))
        backoff = base * (0.5 + 0.5 * chance)
        if retry_after is None:
            return backoff
        return max(backoff, min(retry_after, self.max_retry_after))
