"""What the pages ask of an index. Lists of lines are made once for a filter and then cut by place; bodies are read for what is shown only."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pronk.console.index.filters import Filter
from pronk.console.index.shelf import Index


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line as the pages show it; texts are the beginnings of long ones. `state` is ok, failed or waiting."""

    line: int
    custom_id: str
    prompt: str | None
    refs: list[str] | None
    pictures: int
    start: int | None
    size: int | None
    code: str | None
    status: int | None
    message: str | None
    param: str | None
    answer: str | None
    fields: dict[str, str] | None
    input_tokens: int | None
    output_tokens: int | None
    tries: int | None
    fetch_ms: int | None
    engine_ms: int | None
    replica: str | None
    ended_at: int | None
    bytes: int | None
    width: int | None
    height: int | None
    type: str | None
    cached: bool | None
    state: str


HEAD_CHARS: Final = 2000
_HEADS: Final = {"answer", "prompt", "message"}
_COLUMNS: Final = ", ".join(
    f"{name}[:{HEAD_CHARS}] AS {name}" if name in _HEADS else name for name in Line.__struct_fields__
)


class Span(msgspec.Struct, frozen=True):
    """Where a line stands in the input file, without its line break."""

    start: int
    length: int


class Group(msgspec.Struct, frozen=True):
    """Failed lines of one code."""

    code: str
    count: int
    samples: tuple[Line, ...]


async def numbers(index: Index, wanted: Filter) -> array[int]:
    """Return the numbers of the lines of a filter, in order; kept until something is taken in."""
    key = (wanted, index.version)
    found = index.known.get(key)
    if not isinstance(found, array):
        where, values = wanted.condition()
        rows = await index.table.ask(f"SELECT line FROM lines WHERE {where} ORDER BY line", values)  # noqa: S608
        found = array("q", [row[0] for row in rows])
        index.keep(key, found)
    return found


async def lines(index: Index, wanted: Sequence[int]) -> list[Line]:
    """Return these lines, in order."""
    if not wanted:
        return []
    rows = await index.table.ask(
        f"SELECT {_COLUMNS} FROM lines WHERE line BETWEEN ? AND ? AND list_contains(?::BIGINT[], line) ORDER BY line",  # noqa: S608
        [min(wanted), max(wanted), list(wanted)],
    )
    return [_line(row) for row in rows]


async def spans(index: Index, wanted: Filter) -> list[Span]:
    """Return where the lines of a filter stand in the input file."""
    where, values = wanted.condition()
    rows = await index.table.ask(
        f"SELECT start, size FROM lines WHERE {where} AND start IS NOT NULL ORDER BY line",  # noqa: S608
        values,
    )
    return [Span(*row) for row in rows]


async def find_line(index: Index, number: int) -> Line | None:
    """Return one line."""
    found = await lines(index, [number])
    return found[0] if found else None


def place_of(found: array[int], number: int) -> int:
    """Return where a line stands among others, or the next one after it."""
    return min(bisect_left(found, number), max(0, len(found) - 1))


async def failures(index: Index, samples: int = 5) -> list[Group]:
    """Return the failed lines by code, with the first of each."""
    rows = await index.table.ask(
        f"SELECT code, COUNT(*), list(line ORDER BY line)[1:{int(samples)}] FROM lines WHERE code IS NOT NULL "  # noqa: S608
        "GROUP BY code ORDER BY 2 DESC, 1 LIMIT 50"
    )
    found = await lines(index, [line for row in rows for line in row[2]])
    by_number = {line.line: line for line in found}
    return [
        Group(code, count, tuple(by_number[line] for line in wanted if line in by_number))
        for code, count, wanted in rows
    ]


async def pace(index: Index) -> list[tuple[int, int, int]]:
    """Return (Unix seconds, answered, failed) for each second or larger step in which lines ended."""
    span = await index.table.ask("SELECT MIN(ended_at), MAX(ended_at) FROM lines WHERE ended_at IS NOT NULL")
    if not span or span[0][0] is None:
        return []
    step = max(1, -(-(span[0][1] - span[0][0]) // 120))
    rows = await index.table.ask(
        "SELECT ended_at // ? * ? AS step, COUNT(*) FILTER (WHERE code IS NULL), COUNT(*) FILTER (WHERE code IS NOT NULL) "
        "FROM lines WHERE ended_at IS NOT NULL AND state <> 'waiting' GROUP BY 1 ORDER BY 1",
        [step, step],
    )
    by_step = {row[0]: (row[1] / step, row[2] / step) for row in rows}
    first, last = rows[0][0], rows[-1][0]
    return [(at, *by_step.get(at, (0, 0))) for at in range(first, last + step, step)]


def _line(row: tuple[Any, ...]) -> Line:
    return Line(**dict(zip(Line.__struct_fields__, row, strict=True)))
