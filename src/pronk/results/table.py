"""A CSV or Parquet file with a column ``key``, beside a listing: both in order, so that only a few rows are held."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from pronk.domain.errors import SettingsError
from pronk.results.export import MEMORY, check_installed

_ROWS: Final = 2000
_READERS: Final = {
    ".csv": "read_csv(?, all_varchar = true)",
    ".parquet": "read_parquet(?)",
    ".jsonl": "read_json(?)",
}


class Table:
    """A context manager around `find`. `columns` are the names of the others."""

    def __init__(self, path: Path, source: str) -> None:
        check_installed()
        self._reader = _READERS.get(path.suffix.lower())
        if self._reader is None:
            raise SettingsError(f"{path} has to end in {', '.join(_READERS)}")
        if not path.is_file():
            raise SettingsError(f"{path} is not a file")
        self._path = path
        self._bucket = "/".join(source.split("/", 3)[:3]) + "/"
        self._stack = ExitStack()
        self.columns: tuple[str, ...] = ()
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self._row: tuple[Any, ...] | None = None

    def __enter__(self) -> Self:
        import duckdb  # noqa: PLC0415  # large, and only tables need it

        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="pronk-table-"))
        config: dict[str, Any] = {"memory_limit": MEMORY, "threads": 2, "temp_directory": folder}
        connection = self._stack.enter_context(duckdb.connect(config=config))
        try:
            found = connection.execute(f"DESCRIBE SELECT * FROM {self._reader}", [str(self._path)]).fetchall()  # noqa: S608
            names = [str(row[0]) for row in found]
            if "key" not in names:
                raise SettingsError(f"{self._path} has no column 'key'; it has {', '.join(names)}")
            self.columns = tuple(name for name in names if name != "key")
            listed = ", ".join(
                f'CAST("{name.replace(chr(34), chr(34) * 2)}" AS VARCHAR)' for name in self.columns
            )
            key = "CASE WHEN starts_with(key, ?) THEN substr(key, length(?) + 1) ELSE key END"
            query = f"SELECT {key} AS k{', ' if listed else ''}{listed} FROM {self._reader} ORDER BY k"  # noqa: S608
            cursor = connection.execute(query, [self._bucket, self._bucket, str(self._path)])
        except duckdb.Error as error:
            self._stack.close()
            raise SettingsError(f"{self._path} cannot be read: {str(error).splitlines()[0]}") from error
        self._rows = _fetched(cursor)
        self._row = next(self._rows, None)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def find(self, key: str) -> dict[str, str] | None:
        """Return the row of a key that comes after all asked for before, None when there is none."""
        wanted = key.encode()
        while self._row is not None and str(self._row[0]).encode() < wanted:
            self._row = next(self._rows, None)
        if self._row is None or self._row[0] != key:
            return None
        return {
            name: "" if value is None else str(value)
            for name, value in zip(self.columns, self._row[1:], strict=True)
        }


def _fetched(cursor: Any) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchmany(_ROWS):
        yield from rows
