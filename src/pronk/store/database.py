"""The seam between statements and a database: named SQL, plain rows, transactions as plain functions.

A transaction is a synchronous function of a `Transaction`; it runs whole in a thread of the database's own, so its code
reads the same for every database and never holds up the event loop; a look at a few rows of a file is quicker than the wake-up of a
thread and runs where it is asked for. A transaction may run several times and may see, in each of its
statements, what others have committed before that statement: what must not change in between has to be locked by a write.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Protocol, TypeVar

import anyio

from pronk.domain.errors import StoreOutageError

Row = Mapping[str, Any]
T = TypeVar("T")

LAST = "\uffff"
"""Sorts after every id: where a list that goes down begins."""

PAUSES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Seconds before each further try of a transaction."""

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_INCLUDED = re.compile(r"\{\{(\w+)\}\}")


class TryAgainError(Exception):
    """A transaction did not happen because of others, or of a connection that was gone; the next try may be better."""


class Transaction(Protocol):
    """Statements inside one transaction, by their names in queries.sql."""

    def one(self, query: str, /, **values: object) -> Row | None:
        """Run a statement; return its first row, if it gave one."""

    def all(self, query: str, /, **values: object) -> list[Row]:
        """Run a statement; return every row."""

    def run(self, query: str, /, **values: object) -> int:
        """Run a statement; return how many rows it changed."""

    def many(self, query: str, values: list[dict[str, object]], /) -> None:
        """Run a statement once for each set of values."""


class Database(Protocol):
    """One database. Every method raises StoreOutageError when it does not answer."""

    @property
    def applied(self) -> Sequence[str]:
        """The schema steps that opening it has taken, by name."""

    async def read(self, work: Callable[[Transaction], T], /) -> T:
        """Run `work` on one consistent state, without waiting for writers."""

    async def look(self, work: Callable[[Transaction], T], /) -> T:
        """Run `work` as `read` does, for a few rows by their keys: where that waits for nobody, without a thread's wake-up."""

    async def write(self, work: Callable[[Transaction], T], /) -> T:
        """Run `work` so that all of it happens, durably, or none of it.

        After StoreOutageError nobody knows which: the answer to the last word may have been lost.
        """

    async def clock_difference(self) -> float:
        """Return the database's Unix time less this machine's steady time (`clock.steady`), in seconds."""

    async def close(self) -> None:
        """Give connections back. Nothing may be called afterwards."""


async def until_done(transaction: Callable[[], Awaitable[T]]) -> T:
    """Return what a transaction returns, run again while it raises TryAgainError; the one place that retries it.

    Raises StoreOutageError when it still does not happen in the end.
    """
    for pause in PAUSES:
        try:
            return await transaction()
        except TryAgainError:
            await anyio.sleep(pause)
    try:
        return await transaction()
    except TryAgainError as last:
        raise StoreOutageError(f"the database is too busy: {last}") from last


def load_queries() -> dict[str, str]:
    """Return the named statements of queries.sql."""
    text = files("pronk.store").joinpath("queries.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    found = {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
    return {name: _INCLUDED.sub(lambda match: found[match[1]], body) for name, body in found.items()}


def load_migrations() -> list[tuple[str, str]]:
    """Return the schema steps as (name, script), oldest first."""
    found = files("pronk.store.migrations").iterdir()
    scripts = sorted((entry for entry in found if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [(entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8")) for entry in scripts]
