"""A database whose transactions are timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TypeVar

from pronk.store.database import Database, Transaction
from pronk.telemetry.metrics import STORE_SECONDS

T = TypeVar("T")

_READ = STORE_SECONDS.labels("read")
_WRITE = STORE_SECONDS.labels("write")


class TimedDatabase:
    """The `Database` that it is given, with the time of every transaction in the metrics."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, work: Callable[[Transaction], T], /) -> T:
        began_at = perf_counter()
        try:
            return await self._database.read(work)
        finally:
            _READ.observe(perf_counter() - began_at)

    async def look(self, work: Callable[[Transaction], T], /) -> T:
        began_at = perf_counter()
        try:
            return await self._database.look(work)
        finally:
            _READ.observe(perf_counter() - began_at)

    async def write(self, work: Callable[[Transaction], T], /) -> T:
        began_at = perf_counter()
        try:
            return await self._database.write(work)
        finally:
            _WRITE.observe(perf_counter() - began_at)

    @property
    def applied(self) -> Sequence[str]:
        return self._database.applied

    async def clock_difference(self) -> float:
        return await self._database.clock_difference()

    async def close(self) -> None:
        await self._database.close()
