"""The bounded tries of one fetch: what may pass is tried again with backoff, the rest becomes the error of its reference."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import msgspec

from pronk.domain.reference import Reference
from pronk.domain.retry import RetryPolicy
from pronk.media.fetched import FetchError, Sleep, TransientError

V = TypeVar("V")

POLICY = RetryPolicy(max_tries=4, first_delay=0.2, max_delay=5.0, max_retry_after=20.0)


class Tries(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how patiently; `chance` gives 0..1."""

    policy: RetryPolicy = POLICY
    chance: Callable[[], float]
    sleep: Sleep = anyio.sleep

    async def run(self, reference: Reference, once: Callable[[], Awaitable[V]]) -> V:
        """Return what `once` returns; MediaError when it fails for good or has failed too often."""
        tries = 0
        while True:
            tries += 1
            try:
                return await once()
            except FetchError as error:
                raise reference.failure(error.ending, error.why) from error
            except TransientError as error:
                if tries >= self.policy.max_tries:
                    why = f"could not be fetched in {tries} tries; the last one: {error.why}"
                    raise reference.failure("fetch_failed", why, retriable=True) from error
                wait = self.policy.delay(tries, chance=self.chance(), retry_after=error.retry_after)
            await self.sleep(wait)
