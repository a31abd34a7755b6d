"""Postgres: one database for many machines.

Connections are opened when needed, kept, and dropped together when one of them is found dead, so that a restart or a
failover costs one more try. Every transaction is READ COMMITTED; rows are locked where the statements say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, LiteralString, TypeVar, cast

import anyio
import anyio.to_thread
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row

from pronk.domain.errors import SettingsError, StoreOutageError
from pronk.store.clock import steady
from pronk.store.database import Row, TryAgainError, load_migrations, load_queries, until_done

T = TypeVar("T")
Connection = psycopg.Connection[DictRow]

CONNECTIONS = 4
"""Most connections of one process."""

_DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "pronk",
    "client_encoding": "utf8",
    "connect_timeout": 5,
    "target_session_attrs": "read-write",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_SESSION = (
    # A process that is stopped in the middle of a transaction must not keep its locks from the others.
    "SET lock_timeout = '5s'; SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '10s'"
)
_MIGRATION_LOCK = 0x70726F6E6B
_READ: LiteralString = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE: LiteralString = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

_LOST_TO_OTHERS = frozenset({"40001", "40P01", "55P03"})
"""Serialization failure, deadlock, lock not to be had in time."""

_CONNECTION_GONE = frozenset({"57P01", "57P02", "57P03", "57P05", "25006", "25P03", "0A000"})
"""Server shut down, crashed or starting; idle for too long; no primary any more; plans of an older schema."""

_FAULTS = (psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError)


class PostgresTransaction:
    """Statements on one connection."""

    def __init__(self, connection: Connection, queries: dict[str, LiteralString]) -> None:
        self._connection = connection
        self._queries = queries

    def one(self, query: str, /, **values: object) -> Row | None:
        return self._execute(query, values).fetchone()

    def all(self, query: str, /, **values: object) -> list[Row]:
        return cast("list[Row]", self._execute(query, values).fetchall())

    def run(self, query: str, /, **values: object) -> int:
        return self._execute(query, values).rowcount

    def many(self, query: str, values: list[dict[str, object]], /) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(self._queries[query], [_storable(each) for each in values])

    def _execute(self, query: str, values: dict[str, object]) -> psycopg.Cursor[DictRow]:
        return self._connection.execute(self._queries[query], _storable(values))


class PostgresDatabase:
    """The `Database` of many machines."""

    def __init__(self, conninfo: str, *, applied: list[str]) -> None:
        self.applied = applied
        self._conninfo = conninfo
        self._queries = {name: translate_query(text) for name, text in load_queries().items()}
        self._using = anyio.CapacityLimiter(CONNECTIONS)
        self._idle: list[Connection] = []

    async def read(self, work: Callable[[PostgresTransaction], T], /) -> T:
        return await self._run(_READ, work)

    async def look(self, work: Callable[[PostgresTransaction], T], /) -> T:
        return await self.read(work)

    async def write(self, work: Callable[[PostgresTransaction], T], /) -> T:
        return await self._run(_WRITE, work)

    async def clock_difference(self) -> float:
        return await anyio.to_thread.run_sync(self._clock_difference, limiter=self._using)

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._drop_idle)

    async def _run(self, begin: LiteralString, work: Callable[[PostgresTransaction], T]) -> T:
        async def once() -> T:
            return await anyio.to_thread.run_sync(self._transact, begin, work, limiter=self._using)

        return await until_done(once)

    def _transact(self, begin: LiteralString, work: Callable[[PostgresTransaction], T]) -> T:
        with self._connection() as connection:
            with _before_commit(connection):
                connection.execute(begin)
                result = work(PostgresTransaction(connection, self._queries))
            _commit(connection)
            return result

    def _clock_difference(self) -> float:
        """The quickest of three answers knows best."""
        with self._connection() as connection, _before_commit(connection):
            return min(_ask_time(connection) for _ in range(3))[1]

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        connection = self._take()
        try:
            yield connection
        finally:
            _roll_back(connection)
            if connection.closed:
                self._drop_idle()
            else:
                self._idle.append(connection)

    def _take(self) -> Connection:
        with suppress(IndexError):
            return self._idle.pop()
        return _connect(self._conninfo)

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


def open_postgres(url: str) -> PostgresDatabase:
    """Open the database at `url` and bring it to the newest schema.

    Raises SettingsError for a URL that cannot be read and StoreOutageError when the database does not answer.
    """
    try:
        conninfo = make_conninfo("", **(_DEFAULTS | conninfo_to_dict(url)))
    except psycopg.Error as error:
        raise SettingsError("database is not a postgresql:// URL that can be read") from error
    connection = _connect(conninfo)
    try:
        with _outages():
            applied = _migrate(connection)
    finally:
        connection.close()
    return PostgresDatabase(conninfo, applied=applied)


def translate_query(text: str) -> str:
    """Return a statement of queries.sql as psycopg takes it."""
    text = text.replace("%", "%%").replace("/* skip locked */", "FOR UPDATE SKIP LOCKED")
    text = text.replace("/* for update */", "FOR UPDATE").replace("/* for share */", "FOR SHARE")
    return re.sub(r"(?<!:):(\w+)", r"%(\1)s", text)


def _connect(conninfo: str) -> Connection:
    with _outages():
        connection = psycopg.connect(conninfo, autocommit=True, row_factory=dict_row)
        connection.execute(_SESSION)
        return connection


def _migrate(connection: Connection) -> list[str]:
    """Take the steps that are missing, all of them or none; whoever comes second waits and finds nothing to do."""
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
        connection.execute("SELECT pg_advisory_xact_lock(%s::bigint)", [_MIGRATION_LOCK])
        connection.execute('CREATE TABLE IF NOT EXISTS migration (name TEXT COLLATE "C" PRIMARY KEY)')
        done = {row["name"] for row in connection.execute("SELECT name FROM migration")}
        steps = [(name, script) for name, script in load_migrations() if name not in done]
        for name, script in steps:
            connection.execute(translate_script(script))
            connection.execute("INSERT INTO migration (name) VALUES (%s)", [name])
    return [name for name, _ in steps]


def translate_script(script: str) -> str:
    """Return a migration for Postgres: text sorts by its bytes, as ids and cursors need it, whatever the locale."""
    return re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', script)


def _commit(connection: Connection) -> None:
    """A connection that is lost here leaves it unknown what happened; a server that rolled back says so only in its tag."""
    with _outages():
        said = connection.execute("COMMIT").statusmessage
    if said != "COMMIT":
        raise StoreOutageError(f"the database did not commit: {said}")


def _roll_back(connection: Connection) -> None:
    """Leave a connection fit for the next transaction, or closed."""
    try:
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.execute("ROLLBACK")
    except psycopg.Error:
        connection.close()


def _ask_time(connection: Connection) -> tuple[float, float]:
    """Return how long the answer took and the difference of the clocks."""
    before = steady()
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8 AS now").fetchone()
    after = steady()
    return after - before, (row["now"] if row else 0.0) - (before + after) / 2


def _storable(values: dict[str, Any]) -> dict[str, Any]:
    """Postgres keeps no NUL in a text."""
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in values.items()
    }


@contextmanager
def _before_commit(connection: Connection) -> Iterator[None]:
    """What is lost before COMMIT was sent has not happened, and may be tried again on another connection."""
    with _outages():
        try:
            yield
        except psycopg.Error as error:
            if error.sqlstate in _CONNECTION_GONE:
                connection.close()
            if connection.closed:
                raise TryAgainError(_first_line(error)) from error
            raise


@contextmanager
def _outages() -> Iterator[None]:
    """Tell what passes from what is broken: a statement or a constraint stays what it is."""
    try:
        yield
    except _FAULTS:
        raise
    except psycopg.Error as error:
        if error.sqlstate in _LOST_TO_OTHERS:
            raise TryAgainError(_first_line(error)) from error
        raise StoreOutageError(f"the database does not answer: {_first_line(error)}") from error


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0]
