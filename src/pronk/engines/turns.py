"""A pool as requests that are answered at once use it: the whole of its fixed limit, and a turn for each beyond that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from pronk.domain.engine import EngineSpec
from pronk.engines.client import Answer, Stream
from pronk.engines.pool import Pool


class Turns:
    """At most so many requests at a time; the others wait, first come first served, and take nobody's place meanwhile."""

    def __init__(self, pool: Pool, most: int) -> None:
        self._pool = pool
        self._turns = anyio.CapacityLimiter(most)

    async def complete(self, path: str, body: bytes) -> Answer:
        """Return one replica's answer, as `Pool.complete` does."""
        async with self._turns:
            return await self._pool.complete(path, body)

    async def models(self) -> tuple[str, ...]:
        """Return the names of models, as `Pool.models` does."""
        return await self._pool.models()

    @asynccontextmanager
    async def stream(self, path: str, body: bytes) -> AsyncIterator[Stream]:
        """Give one replica's answer while it comes, as `Pool.stream` does."""
        async with self._turns, self._pool.stream(path, body) as stream:
            yield stream


def in_turn(pool: Pool, spec: EngineSpec) -> Pool | Turns:
    """Return the pool, within the limit that the operator has set; one that is to be found is left to the engine's queue."""
    return pool if spec.max_in_flight == "auto" else Turns(pool, spec.max_in_flight)
