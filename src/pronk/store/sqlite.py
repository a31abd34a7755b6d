"""SQLite: one writer at a time on one connection, readers on connections of their own (write-ahead log)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from pronk.domain.errors import StoreOutageError
from pronk.store.clock import Setting, steady, steer, this_boot
from pronk.store.database import Row, load_migrations, load_queries, until_done

T = TypeVar("T")

READERS = 4
BUSY_SECONDS = 10.0


class SqliteTransaction:
    """Statements on one connection."""

    def __init__(self, connection: sqlite3.Connection, queries: dict[str, str]) -> None:
        self._connection = connection
        self._queries = queries

    def one(self, query: str, /, **values: object) -> Row | None:
        cursor = self._connection.execute(self._queries[query], values)
        row: sqlite3.Row | None = cursor.fetchone()
        cursor.close()
        return row  # type: ignore[return-value]  # sqlite3.Row reads like a mapping

    def all(self, query: str, /, **values: object) -> list[Row]:
        return self._connection.execute(self._queries[query], values).fetchall()

    def run(self, query: str, /, **values: object) -> int:
        return self._connection.execute(self._queries[query], values).rowcount

    def many(self, query: str, values: list[dict[str, object]], /) -> None:
        self._connection.executemany(self._queries[query], values)


class SqliteDatabase:
    """The `Database` of one machine, shared by its processes through the file."""

    def __init__(self, path: Path, *, applied: list[str]) -> None:
        self.applied = applied
        self._path = path
        self._queries = load_queries()
        self._writer = _connect(path)
        self._looker = _connect(path)
        self._looker.execute("PRAGMA busy_timeout = 0")
        self._writing = anyio.CapacityLimiter(1)
        self._reading = anyio.CapacityLimiter(READERS)
        self._readers: list[sqlite3.Connection] = []

    async def read(self, work: Callable[[SqliteTransaction], T], /) -> T:
        return await until_done(lambda: anyio.to_thread.run_sync(self._read, work, limiter=self._reading))

    async def look(self, work: Callable[[SqliteTransaction], T], /) -> T:
        """On the event loop itself: readers wait for no writer. In the rare moments when they would, a thread does."""
        try:
            return self._read_on(self._looker, work)
        except sqlite3.OperationalError:
            return await self.read(work)

    async def write(self, work: Callable[[SqliteTransaction], T], /) -> T:
        return await until_done(lambda: anyio.to_thread.run_sync(self._write, work, limiter=self._writing))

    async def clock_difference(self) -> float:
        """The processes of the machine agree on one, through the file."""
        return await self.write(_set_clock)

    async def close(self) -> None:
        for connection in [self._writer, self._looker, *self._readers]:
            connection.close()

    def _read(self, work: Callable[[SqliteTransaction], T]) -> T:
        with _outages():
            connection = self._readers.pop() if self._readers else _connect(self._path)
            try:
                return self._read_on(connection, work)
            finally:
                self._readers.append(connection)

    def _read_on(self, connection: sqlite3.Connection, work: Callable[[SqliteTransaction], T]) -> T:
        try:
            connection.execute("BEGIN")
            return work(SqliteTransaction(connection, self._queries))
        finally:
            connection.rollback()

    def _write(self, work: Callable[[SqliteTransaction], T]) -> T:
        with _outages():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                result = work(SqliteTransaction(self._writer, self._queries))
                self._writer.commit()
            except BaseException:
                self._writer.rollback()
                raise
            return result


def open_sqlite(path: Path) -> SqliteDatabase:
    """Open the database at `path`, made and brought to the newest schema where needed.

    Raises StoreOutageError when the file cannot be opened or written.
    """
    with _outages():
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _connect(path)
        try:
            applied = _migrate(connection)
        finally:
            connection.close()
        return SqliteDatabase(path, applied=applied)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _migrate(connection: sqlite3.Connection) -> list[str]:
    """Take the steps that are missing, all of them or none; whoever comes second waits and finds nothing to do."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY)")
        done = {row["name"] for row in connection.execute("SELECT name FROM migration")}
        steps = [(name, script) for name, script in load_migrations() if name not in done]
        for name, script in steps:
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute("INSERT INTO migration (name) VALUES (?)", (name,))
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return [name for name, _ in steps]


def _statements(script: str) -> Iterator[str]:
    """Split a script, because sqlite3's own way to run one commits first."""
    buffer = ""
    for line in script.splitlines(keepends=True):
        buffer += line
        if sqlite3.complete_statement(buffer):
            yield buffer
            buffer = ""


def _set_clock(tx: SqliteTransaction) -> float:
    boot = this_boot()
    settings = [Setting(row["boot"], row["difference"], row["set_at"]) for row in tx.all("find_clock")]
    old = next((setting for setting in settings if setting.boot == boot), None)
    new = steer(old, boot=boot, wall=time.time(), at=steady())
    tx.run("forget_clocks", boot=boot)
    tx.run("set_clock", boot=boot, difference=new.difference, set_at=new.set_at)
    return new.difference


@contextmanager
def _outages() -> Iterator[None]:
    """Turn "cannot read or write now" into our own error; a broken constraint or statement stays what it is."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        raise StoreOutageError(f"the database does not answer: {error}") from error
