"""The DuckDB side of an index: one database file for each batch, written by us alone, asked with bound values only.

What is asked are ``lines``, a row for each, and ``pairs``, a row for each field of each JSON answer. ``marks`` and ``regions`` hold
what is known elsewhere of lines and of buckets.

DuckDB is an optional part: ``pip install pronk[export]``. No text of a caller ever becomes SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from pronk.domain.errors import UnavailableError

if TYPE_CHECKING:
    import duckdb

COLUMNS: Final = {
    "requests": "line BIGINT, custom_id VARCHAR, prompt VARCHAR, refs VARCHAR[], bucket VARCHAR, prefix VARCHAR, "
    "ending VARCHAR, start BIGINT, size BIGINT",
    "results": "line BIGINT, result_id VARCHAR, code VARCHAR, status INTEGER, message VARCHAR, param VARCHAR, "
    "answer VARCHAR, fields MAP(VARCHAR, VARCHAR), input_tokens INTEGER, output_tokens INTEGER",
    "facts": "line BIGINT, tries INTEGER, fetch_ms BIGINT, engine_ms BIGINT, replica VARCHAR, ended_at BIGINT, bytes BIGINT, "
    "width INTEGER, height INTEGER, type VARCHAR, cached BOOLEAN",
}
_VIEW: Final = """
CREATE VIEW lines AS
SELECT line, COALESCE(requests.custom_id, results.result_id, '') AS custom_id, requests.prompt, requests.refs,
       COALESCE(len(requests.refs), 0) AS pictures, requests.bucket, requests.prefix, requests.ending, requests.start,
       requests.size, results.code, results.status, results.message, results.param, results.answer, results.fields,
       results.input_tokens, results.output_tokens, facts.* EXCLUDE (line),
       CASE WHEN results.line IS NULL THEN 'waiting' WHEN results.code IS NULL THEN 'ok' ELSE 'failed' END AS state
  FROM requests FULL JOIN results USING (line) LEFT JOIN facts USING (line)
"""
_NUMBER: Final = """
CREATE MACRO number_of(text) AS CASE WHEN isfinite(TRY_CAST(text AS DOUBLE)) THEN TRY_CAST(text AS DOUBLE) END
"""
_PAIRS: Final = """
SELECT line, pair.key AS name, pair.value AS value, number_of(pair.value) AS number
  FROM (SELECT line, UNNEST(map_entries(fields)) AS pair FROM lines WHERE fields IS NOT NULL)
"""
_SETTLE: Final = (
    "BEGIN",
    "CREATE TABLE settled AS SELECT * FROM lines ORDER BY line",
    f"CREATE TABLE settled_pairs AS {_PAIRS} ORDER BY name, line",
    "DROP VIEW pairs",
    "DROP VIEW lines",
    "ALTER TABLE settled RENAME TO lines",
    "ALTER TABLE settled_pairs RENAME TO pairs",
    *(f"DROP TABLE {name}" for name in COLUMNS),
    "COMMIT",
)
_KNOWN_ELSEWHERE: Final = {
    "marks": "CREATE OR REPLACE TABLE marks AS SELECT UNNEST(?::BIGINT[]) AS line, UNNEST(?::VARCHAR[]) AS mark",
    "regions": "CREATE OR REPLACE TABLE regions AS SELECT UNNEST(?::VARCHAR[]) AS bucket, UNNEST(?::VARCHAR[]) AS region",
}
QUERY_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 120.0


class Table:
    """The tables of one batch."""

    def __init__(self, path: Path) -> None:
        self._file = path / "lines.duckdb"
        self._connection = _connect(str(self._file), config={"memory_limit": "256MB", "threads": 2})
        for name, columns in COLUMNS.items():
            self._connection.execute(f"CREATE TABLE {name} ({columns})")
        self._connection.execute(_NUMBER)
        self._connection.execute(_VIEW)
        self._connection.execute(f"CREATE VIEW pairs AS {_PAIRS}")
        for statement in _KNOWN_ELSEWHERE.values():
            self._connection.execute(statement, [[], []])
        self._connection.execute(f"SET allowed_directories = ['{_quoted(path)}']")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    async def add(self, name: str, rows: Path) -> None:
        """Take rows over from a file of JSON lines; a line that is there already stays as it is."""
        members = ", ".join(
            f"'{column.split(' ', 1)[0]}': '{column.split(' ', 1)[1]}'" for column in _split(name)
        )
        await self.ask(
            f"INSERT INTO {name} SELECT rows.* FROM read_json(?, format = 'newline_delimited', "  # noqa: S608 - our names
            f"maximum_object_size = 2097152, columns = {{{members}}}) AS rows ANTI JOIN {name} AS had USING (line)",
            [str(rows)],
        )

    async def replace(self, name: str, pairs: Mapping[Any, str]) -> None:
        """Put these pairs in the place of all that ``marks`` or ``regions`` hold."""
        await self.ask(_KNOWN_ELSEWHERE[name], [list(pairs), list(pairs.values())])

    async def clear(self, name: str) -> None:
        """Forget the rows of a table."""
        await self.ask(f"DELETE FROM {name}")  # noqa: S608 - our names

    async def settle(self) -> None:
        """Join everything once and for all, when nothing will be added any more; questions are a quarter of the work then."""
        await self.ask(";".join(_SETTLE), seconds=_SETTLE_SECONDS)

    async def ask(
        self,
        statement: str,
        values: Sequence[object] | Mapping[str, object] = (),
        *,
        seconds: float = QUERY_SECONDS,
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a statement. Raises UnavailableError for one that takes longer than `seconds`."""
        cursor = self._connection.cursor()
        try:
            with anyio.fail_after(seconds):
                return await anyio.to_thread.run_sync(_run, cursor, statement, values, abandon_on_cancel=True)
        except TimeoutError as error:
            cursor.interrupt()
            raise UnavailableError("This question takes too long; make the filter narrower.") from error

    def close(self) -> None:
        """Close the database; its folder goes with whoever made it."""
        self._connection.close()


def _run(
    cursor: duckdb.DuckDBPyConnection, statement: str, values: Sequence[object] | Mapping[str, object]
) -> list[tuple[Any, ...]]:
    return cursor.execute(statement, dict(values) if isinstance(values, Mapping) else list(values)).fetchall()


def _split(name: str) -> list[str]:
    """Return the columns of a table, each with its type."""
    found: list[str] = []
    for piece in COLUMNS[name].split(", "):
        if found and found[-1].count("(") > found[-1].count(")"):
            found[-1] += f", {piece}"
        else:
            found.append(piece)
    return found


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _connect(path: str, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    try:
        import duckdb  # noqa: PLC0415 - 65 MB, wanted only when somebody looks at results
    except ImportError as error:
        raise UnavailableError(
            "Results are shown with DuckDB, which is not installed here: pip install 'pronk[export]'."
        ) from error
    return duckdb.connect(path, config=config)
