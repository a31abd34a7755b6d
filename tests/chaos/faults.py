"""Layers between pronk and its parts that number every operation and let some of them fail.

An operation fails ``before`` it happened or ``after`` it: then it is done and only the answer is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

import anyio

from pronk.blobs import Blobs, BlobWriter
from pronk.domain.errors import BlobOutageError, EngineError, PronkError, StoreOutageError
from pronk.store.database import Database, Row, Transaction
from pronk.worker.ports import AnswerPort, EnginePort

T = TypeVar("T")
How = Literal["", "before", "after"]


class Faults:
    """Numbers operations from 1 while it is armed; `plan` says of each number how it fails."""

    def __init__(self) -> None:
        self.count = 0
        self.struck: list[str] = []
        self.seen: Counter[str] = Counter()
        self._plan: Callable[[int], How] | None = None

    def arm(self, plan: Callable[[int], How]) -> None:
        """Begin to count anew."""
        self.count, self.struck, self._plan = 0, [], plan

    def disarm(self) -> None:
        """Let everything through again, uncounted."""
        self._plan = None

    async def around(self, name: str, operation: Callable[[], Awaitable[T]], error: type[PronkError]) -> T:
        """Do an operation, or fail."""
        how = self._strike(name)
        if how == "before":
            raise _made(error, f"{name} fails")
        answer = await operation()
        if how == "after":
            raise _made(error, f"the answer of {name} is lost")
        return answer

    def pass_by(self, name: str) -> None:
        """Number a statement, which fails as its database would."""
        if self._strike(name):
            raise StoreOutageError(f"{name} fails")

    def _strike(self, name: str) -> How:
        if self._plan is None:
            return ""
        self.count += 1
        self.seen[name] += 1
        how = self._plan(self.count)
        if how:
            self.struck.append(f"{self.count} {name} {how}")
        return how


def once(number: int, how: How) -> Callable[[int], How]:
    """Return the plan in which one operation fails."""
    return lambda count: how if count == number else ""


def from_on(number: int, how: How, *, for_as_many: int) -> Callable[[int], How]:
    """Return the plan in which everything fails from one operation on, until it heals."""
    return lambda count: how if number <= count < number + for_as_many else ""


def now_and_then(chance: Callable[[], float], share: float) -> Callable[[int], How]:
    """Return the plan in which a share of all operations fails, half of them after they happened."""

    def plan(_: int) -> How:
        drawn = chance()
        return "" if drawn >= share else "before" if drawn < share / 2 else "after"

    return plan


class FaultyDatabase:
    """A `Database` whose transactions fail as planned."""

    def __init__(self, database: Database, faults: Faults) -> None:
        self._database = database
        self._faults = faults

    @property
    def applied(self) -> Sequence[str]:
        return self._database.applied

    async def read(self, work: Callable[[Transaction], T], /) -> T:
        return await self._faults.around(
            "read", lambda: self._database.read(self._numbered(work)), StoreOutageError
        )

    async def look(self, work: Callable[[Transaction], T], /) -> T:
        return await self._faults.around(
            "read", lambda: self._database.look(self._numbered(work)), StoreOutageError
        )

    async def write(self, work: Callable[[Transaction], T], /) -> T:
        return await self._faults.around(
            "write", lambda: self._database.write(self._numbered(work)), StoreOutageError
        )

    def _numbered(self, work: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
        return lambda tx: work(_FaultyTransaction(tx, self._faults))

    async def clock_difference(self) -> float:
        return await self._database.clock_difference()

    async def close(self) -> None:
        await self._database.close()


class _FaultyTransaction:
    """Statements are operations as well; one that fails takes its transaction along."""

    def __init__(self, transaction: Transaction, faults: Faults) -> None:
        self._transaction = transaction
        self._faults = faults

    def one(self, query: str, /, **values: object) -> Row | None:
        self._faults.pass_by(query)
        return self._transaction.one(query, **values)

    def all(self, query: str, /, **values: object) -> list[Row]:
        self._faults.pass_by(query)
        return self._transaction.all(query, **values)

    def run(self, query: str, /, **values: object) -> int:
        self._faults.pass_by(query)
        return self._transaction.run(query, **values)

    def many(self, query: str, values: list[dict[str, object]], /) -> None:
        self._faults.pass_by(query)
        self._transaction.many(query, values)


class FaultyBlobs:
    """`Blobs` whose operations fail as planned."""

    def __init__(self, blobs: Blobs, faults: Faults) -> None:
        self._blobs = blobs
        self._faults = faults

    async def _do(self, name: str, operation: Callable[[], Awaitable[T]]) -> T:
        return await self._faults.around(f"blobs.{name}", operation, BlobOutageError)

    async def put(self, name: str, data: bytes) -> None:
        await self._do("put", lambda: self._blobs.put(name, data))

    @asynccontextmanager
    async def writer(self, name: str) -> AsyncIterator[BlobWriter]:
        await self._do("open", anyio.lowlevel.checkpoint)
        async with self._blobs.writer(name) as writer:
            yield _FaultyWriter(writer, self)
            await self._do("close", anyio.lowlevel.checkpoint)
        await self._do("closed", anyio.lowlevel.checkpoint)

    async def get(self, name: str) -> bytes:
        return await self._do("get", lambda: self._blobs.get(name))

    async def get_range(self, name: str, start: int, length: int) -> bytes:
        return await self._do("get_range", lambda: self._blobs.get_range(name, start, length))

    async def stream(self, name: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        async for chunk in self._blobs.stream(name, start, length):
            await self._do("stream", anyio.lowlevel.checkpoint)
            yield chunk

    async def names(self, prefix: str) -> list[str]:
        return await self._do("names", lambda: self._blobs.names(prefix))

    async def delete(self, name: str) -> None:
        await self._do("delete", lambda: self._blobs.delete(name))

    async def delete_below(self, prefix: str) -> None:
        await self._do("delete_below", lambda: self._blobs.delete_below(prefix))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)


class _FaultyWriter:
    def __init__(self, writer: BlobWriter, blobs: FaultyBlobs) -> None:
        self._writer = writer
        self._blobs = blobs

    async def write(self, data: bytes) -> None:
        await self._blobs._do("write", lambda: self._writer.write(data))


class FaultyEngine:
    """A pool whose calls fail as planned; while the plan says so it is out as a whole."""

    def __init__(self, engine: EnginePort, faults: Faults) -> None:
        self._engine = engine
        self._faults = faults
        self._is_out = False

    @property
    def is_out(self) -> bool:
        return self._is_out

    async def wait_until_up(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def complete(self, path: str, body: bytes, *, avoid: Collection[str] = ()) -> AnswerPort:
        self._is_out = True
        answer = await self._faults.around(
            "engine.complete",
            lambda: self._engine.complete(path, body, avoid=avoid),
            EngineError,
        )
        self._is_out = False
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def _made(error: type[PronkError], message: str) -> PronkError:
    return error("engine_unavailable", message) if issubclass(error, EngineError) else error(message)
