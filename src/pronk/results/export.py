"""Result files as one table: Parquet, CSV or JSON lines, in constant memory.

One pass writes the cells as JSON lines under names of our own and learns what type each column has; DuckDB turns them into the
table. No text of a caller or a model becomes SQL but as a quoted name.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from pronk.domain.errors import SettingsError
from pronk.domain.ids import result_line
from pronk.domain.lines import numbered_lines
from pronk.results.row import PLAIN, Cells, read_request, read_result

FORMATS: Final = {
    ".parquet": "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 8192",
    ".csv": "FORMAT csv, HEADER",
    ".jsonl": "FORMAT json",
}
MAX_COLUMNS: Final = 300
MEMORY: Final = "256MB"
LEAST_OBJECT: Final = 1_048_576
"""DuckDB reads in pieces of twice this, or twice the longest row."""

_MAX_INTEGER: Final = 2**63
_encode = msgspec.json.Encoder().encode


class _Id(msgspec.Struct):
    id: str


_decode_id = msgspec.json.Decoder(_Id).decode


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a batch, as far as there are any."""

    input: Path | None = None
    output: Path | None = None
    errors: Path | None = None


class Columns:
    """Columns that are found on the way: each gets a name of our own, and the narrowest type that holds all its values."""

    def __init__(self) -> None:
        self._kinds: dict[str, set[str]] = {}
        self._names: dict[str, str] = {}

    def take(self, prefix: str, fields: Cells) -> Cells:
        """Return `fields` under our own names; what would be a column too many is left out."""
        cells = {}
        for field, value in fields.items():
            shown = f"{prefix}_{field}"
            name = self._names.get(shown)
            if name is None:
                if len(self._names) >= MAX_COLUMNS:
                    continue
                name = self._names[shown] = f"c{len(self._names)}"
                self._kinds[name] = set()
            if value is not None:
                self._kinds[name].add(_kind(value))
                cells[name] = value
        return cells

    def types(self) -> dict[str, str]:
        """Return our names with their types."""
        return {name: _type(kinds) for name, kinds in self._kinds.items()}

    def shown(self) -> dict[str, str]:
        """Return our names with the names that people see, each once whatever its case."""
        taken = {name.casefold() for name in PLAIN}
        named = {}
        for shown, name in self._names.items():
            wanted = shown.replace("\0", "")
            while wanted.casefold() in taken:
                wanted += "_"
            taken.add(wanted.casefold())
            named[name] = wanted
        return named


def export(sources: Sources, target: Path) -> int:
    """Write the table to `target`, whose ending says the form; it appears only when it is whole. Returns the rows.

    Raises SettingsError for another ending, and where DuckDB is not installed.
    """
    form = FORMATS.get(target.suffix.lower())
    if form is None:
        raise SettingsError(f"{target.name} has to end in {', '.join(FORMATS)}")
    check_installed()
    if not target.parent.is_dir():
        raise SettingsError(f"{target.parent} is not a folder")
    with tempfile.TemporaryDirectory(prefix="pronk-export-", dir=target.parent) as folder:
        columns, cells, whole = (
            Columns(),
            Path(folder) / "cells.jsonl",
            Path(folder) / f"table{target.suffix}",
        )
        with cells.open("wb") as file:
            count, longest = _write_cells(sources, columns, file)
        _turn(cells, whole, columns, (form, longest))
        whole.replace(target)
    return count


def check_installed() -> None:
    """Raise SettingsError where DuckDB is missing."""
    try:
        import duckdb  # noqa: F401, PLC0415  # large, and only export needs it
    except ImportError as error:
        raise SettingsError("export needs DuckDB; install it with: pip install 'pronk[export]'") from error


def _turn(cells: Path, target: Path, columns: Columns, form: tuple[str, int]) -> None:
    import duckdb  # noqa: PLC0415  # large, and only export needs it

    types = {**PLAIN, **columns.types()}
    shown = columns.shown()
    listed = ", ".join(f"{_literal(name)}: {_literal(kind)}" for name, kind in types.items())
    wanted = ", ".join(f"{_name(name)} AS {_name(shown.get(name, name))}" for name in types)
    query = (  # every name and text in it is quoted
        f"COPY (SELECT {wanted} FROM read_json({_literal(str(cells))}, format = 'newline_delimited', "  # noqa: S608
        f"columns = {{{listed}}}, maximum_object_size = {max(form[1], LEAST_OBJECT)})) TO {_literal(str(target))} ({form[0]})"
    )
    with duckdb.connect(config={"memory_limit": MEMORY, "threads": 2}) as connection:
        connection.execute(f"SET temp_directory = {_literal(str(cells.parent))}")
        connection.execute(f"SET allowed_directories = [{_literal(str(cells.parent))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        connection.execute(query)


def _write_cells(sources: Sources, columns: Columns, file: BinaryIO) -> tuple[int, int]:
    """Return how many rows were written, and how many bytes the longest has."""
    count = longest = 0
    with ExitStack() as stack:
        requests = _requests(sources.input, stack)
        number, raw = 0, b""
        for line, result in heapq.merge(
            _results(sources.output, stack), _results(sources.errors, stack), key=lambda found: found[0]
        ):
            cells, fields = read_result(line, result)
            cells |= columns.take("answer", fields)
            while number < line:
                number, raw = next(requests, (line + 1, b""))
            if number == line:
                plain, extra = read_request(raw)
                cells |= {**plain, **columns.take("input", extra)}
            row = _encode(cells) + b"\n"
            file.write(row)
            count, longest = count + 1, max(longest, len(row))
    return count, longest


def _results(path: Path | None, stack: ExitStack) -> Iterator[tuple[int, bytes]]:
    for line in stack.enter_context(path.open("rb")) if path is not None else ():
        if line.isspace():
            continue
        number = _number(line)
        if number is None:
            raise SettingsError(f"{path} is not a file of results")
        yield number, line


def _number(line: bytes) -> int | None:
    try:
        return result_line(_decode_id(line).id)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def _requests(path: Path | None, stack: ExitStack) -> Iterator[tuple[int, bytes]]:
    file = stack.enter_context(path.open("rb")) if path is not None else ()
    for number, line in enumerate(file, 1):
        yield from ((number, text) for _, text in numbered_lines(line.rstrip(b"\n"), number))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "BIGINT" if -_MAX_INTEGER <= value < _MAX_INTEGER else "VARCHAR"
    return "DOUBLE" if isinstance(value, float) else "VARCHAR"


def _type(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    return "DOUBLE" if kinds == {"BIGINT", "DOUBLE"} else "VARCHAR"


def _quoted(mark: str) -> Callable[[str], str]:
    return lambda text: f"{mark}{text.replace(mark, mark * 2)}{mark}"


_literal: Final = _quoted("'")
_name: Final = _quoted('"')
