"""The parts that simulated processes share, in memory, and each process's own way to them, with delays and faults."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from functools import cache
from random import Random
from typing import TypeVar

import anyio
import msgspec
from tests.chaos.simulation.probes import Probes

from pronk.domain.bodies import Body
from pronk.domain.errors import BlobOutageError, EngineError, PronkError, StoreOutageError
from pronk.store import sqlite
from pronk.store.database import Row, Transaction, load_queries, until_done

T = TypeVar("T")

SLOW = 0.03
"""The longest that a transaction or a storage call takes on its way there, or back, in seconds."""

HURRY = 0.6
"""Share of the ways that take no time at all."""

CHUNK = 300


class Machine:
    """What lasts: one database and one storage. `now` is Unix seconds by the virtual clock; faults are what holds until then."""

    def __init__(self, dice: Random, now: Callable[[], float], probes: Probes) -> None:
        self.dice = dice
        self.now = now
        self.probes = probes
        self.trace: list[str] = []
        self.blobs: dict[str, bytes] = {}
        self.database_away_until = 0.0
        self.storage_away_until = 0.0
        self.engine_away_until = 0.0
        self.lost_answers = 0.0
        """Share of calls that are done and whose answer is lost."""
        self.engine_faults = 0.0
        self.stored: Callable[[str, bytes], None] = lambda _name, _data: None
        self.asked: Callable[[Process, bytes], None] = lambda _process, _body: None
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.deserialize(_empty_database())
        self.connection.row_factory = sqlite3.Row

    def note(self, *words: object) -> None:
        """Write down what happened."""
        self.trace.append(f"{self.now():.6f} {' '.join(map(str, words))}")

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run a transaction at once."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            answer = work(_Watched(self.connection, self))
            self.connection.execute("COMMIT")
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        return answer

    async def delay(self) -> None:
        """Take a moment, or none; more often a short one."""
        drawn = self.dice.random()
        if drawn > HURRY:
            await anyio.sleep(SLOW * ((drawn - HURRY) / (1 - HURRY)) ** 3)


@cache
def _empty_database() -> bytes:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    sqlite._migrate(connection)
    return connection.serialize()


_QUERIES = load_queries()


class _Watched(sqlite.SqliteTransaction):
    """A transaction whose statements are probes, told by whether they found or changed something."""

    def __init__(self, connection: sqlite3.Connection, machine: Machine) -> None:
        super().__init__(connection, _QUERIES)
        self._machine = machine

    def one(self, query: str, /, **values: object) -> Row | None:
        row = super().one(query, **values)
        self._machine.probes.hit(query if row is not None else f"{query}: none")
        return row

    def all(self, query: str, /, **values: object) -> list[Row]:
        rows = super().all(query, **values)
        self._machine.probes.hit(query if rows else f"{query}: none")
        return rows

    def run(self, query: str, /, **values: object) -> int:
        changed = super().run(query, **values)
        self._machine.probes.hit(query if changed else f"{query}: none")
        return changed


class Process:
    """One process: how it lives, and its own ways to the machine."""

    def __init__(self, name: str, machine: Machine) -> None:
        self.name = name
        self.machine = machine
        self.is_calm = False
        """Nothing ever happens to it: it looks on."""
        self.is_dead = False
        self.stopped_until = 0.0
        self.cut_off_until = 0.0

    def database(self) -> ProcessDatabase:
        return ProcessDatabase(self)

    async def step(self) -> None:
        """Go on, unless the process is stopped; take a moment on the way."""
        machine = self.machine
        await machine.delay()
        while self.stopped_until > machine.now() and not self.is_dead:  # noqa: ASYNC110  # time costs nothing here
            await anyio.sleep(min(0.2, self.stopped_until - machine.now()))

    async def call(self, what: str, away: str, deed: Callable[[], T], error: type[PronkError]) -> T:
        """Do something to the machine, unless it is away: until when is in `away`.

        As threads are waited for, nothing here is cancelled.
        """
        machine = self.machine
        if self.is_calm:
            await anyio.lowlevel.checkpoint()
            return deed()
        with anyio.CancelScope(shield=True):
            await self.step()
            if self.is_dead:
                raise error("this process is dead")
            if max(getattr(machine, away), self.cut_off_until) > machine.now():
                machine.probes.hit(f"{what} away")
                raise error(f"{what} does not answer")
            answer = deed()
            is_lost = machine.dice.random() < machine.lost_answers
            await self.step()
        if is_lost:
            machine.probes.hit(f"answer of {what} lost")
            raise error(f"the answer of {what} was lost")
        return answer


class ProcessDatabase:
    """The machine's database as one process reaches it."""

    applied = ()

    def __init__(self, process: Process) -> None:
        self._process = process

    async def read(self, work: Callable[[Transaction], T], /) -> T:
        return await self._run("read", work)

    async def look(self, work: Callable[[Transaction], T], /) -> T:
        return await self._run("read", work)

    async def write(self, work: Callable[[Transaction], T], /) -> T:
        return await self._run("write", work)

    async def clock_difference(self) -> float:
        return 0.0

    async def close(self) -> None:
        """The machine keeps it."""

    async def _run(self, verb: str, work: Callable[[Transaction], T]) -> T:
        machine = self._process.machine

        async def transact() -> T:
            away, deed = "database_away_until", lambda: machine.transact(work)
            return await self._process.call(f"database {verb}", away, deed, StoreOutageError)

        return await until_done(transact)


class ProcessBlobs:
    """The machine's storage as one process reaches it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def _do(self, verb: str, deed: Callable[[], T]) -> T:
        return await self._process.call(f"storage {verb}", "storage_away_until", deed, BlobOutageError)

    async def put(self, name: str, data: bytes) -> None:
        machine = self._process.machine

        def deed() -> None:
            assert name.startswith("facts/") or name not in machine.blobs, f"{name} is written twice"
            machine.blobs[name] = data
            machine.note(self._process.name, "stored", name)
            machine.stored(name, data)

        await self._do("put", deed)

    @asynccontextmanager
    async def writer(self, name: str) -> AsyncIterator[_Writer]:
        writer = _Writer()
        yield writer
        await self.put(name, b"".join(writer.pieces))

    async def get(self, name: str) -> bytes:
        return await self._do("get", lambda: self._found(name))

    async def get_range(self, name: str, start: int, length: int) -> bytes:
        return await self._do("get", lambda: self._found(name)[start : start + length])

    async def stream(self, name: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        data = await self._do("stream", lambda: self._found(name))
        data = data[start:] if length is None else data[start : start + length]
        for at in range(0, len(data), CHUNK):
            yield data[at : at + CHUNK]

    async def names(self, prefix: str) -> list[str]:
        blobs = self._process.machine.blobs
        return await self._do("names", lambda: sorted(name for name in blobs if name.startswith(prefix)))

    async def delete(self, name: str) -> None:
        await self._do("delete", lambda: self._process.machine.blobs.pop(name, None))

    async def delete_below(self, prefix: str) -> None:
        for name in await self.names(prefix):
            await self.delete(name)

    async def sweep(self, *, before: float) -> int:  # noqa: ARG002
        await anyio.lowlevel.checkpoint()
        return 0

    async def ping(self) -> None:
        await self._do("ping", lambda: None)

    def _found(self, name: str) -> bytes:
        found = self._process.machine.blobs.get(name)
        if found is None:
            raise FileNotFoundError(name)
        return found


class _Writer:
    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, data: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        self.pieces.append(data)


class Answer(msgspec.Struct, frozen=True):
    """What the engine says."""

    status: int
    body: bytes
    retry_after: float | None = None
    request_id: str | None = None
    replica: str = "r"


class ProcessEngine:
    """The engine as one process reaches it: slow, sometimes failing, sometimes away."""

    name = "default"
    limit = 3

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def is_out(self) -> bool:
        return self._process.machine.engine_away_until > self._process.machine.now()

    async def wait_until_up(self) -> None:
        while self.is_out:
            self._process.machine.probes.hit("waited for an engine")
            await anyio.sleep(0.1)

    async def complete(
        self,
        path: str,  # noqa: ARG002
        body: Body,
        *,
        affinity: int | None = None,  # noqa: ARG002
        avoid: Collection[str] = (),  # noqa: ARG002
    ) -> Answer:
        machine, dice = self._process.machine, self._process.machine.dice
        if self.is_out:
            await machine.delay()
            raise EngineError("engine_unavailable", "no engine answers")
        data = body if isinstance(body, bytes) else b"".join(body)
        machine.asked(self._process, data)
        await anyio.sleep(0.02 + 0.6 * dice.random() ** 2)
        if self._process.stopped_until > machine.now():
            await self._process.step()
        if dice.random() < machine.engine_faults:
            return self._fault(dice)
        if b'"model":"refused"' in data:
            return Answer(400, b'{"error":{"message":"no","type":"invalid_request_error"}}')
        return Answer(200, b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}')

    def _fault(self, dice: Random) -> Answer:
        kind = dice.choice(("away", "500", "429"))
        self._process.machine.probes.hit(f"engine said {kind}")
        if kind == "away":
            raise EngineError("engine_unavailable", "the connection broke")
        return Answer(int(kind), b"{}", retry_after=0.3 if kind == "429" else None)
