"""How the lines of a filter are spread: the most frequent values of a name, or ten bins of its numbers.

Counts of a name follow all other terms of the filter but not its own, so that another value can be seen and taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from math import ceil, floor
from typing import Any, Final

import msgspec

from pronk.console.index.columns import DIMENSIONS, FIELD, NUMBERS, label_of, number_of, path_of
from pronk.console.index.filters import Filter, Term
from pronk.console.index.queries import numbers
from pronk.console.index.shelf import Index

SECONDS: Final = 0.8
BINS: Final = 10
TOP: Final = 8
_MAX_FIELDS: Final = 24
_FEW: Final = 5000
VALUED: Final = ("code", "bucket", "prefix", "ending", "replica", "bytes", "pictures", "tries")
RANGED: Final = ("input_tokens", "output_tokens", "engine_ms", "fetch_ms", "bytes")


class Value(msgspec.Struct, frozen=True):
    """A value and how many lines have it."""

    value: str
    count: int


class Bin(msgspec.Struct, frozen=True):
    """Numbers from `low` to `high`, which belongs to the next bin unless this is the last."""

    low: float
    high: float
    count: int
    is_last: bool

    def terms(self, name: str) -> tuple[Term, Term]:
        """Return the conditions that mean exactly these numbers."""
        return Term(name, "min", plain(self.low)), Term(
            name, "max" if self.is_last else "under", plain(self.high)
        )


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How one name is spread: `values` are the most frequent of its `kinds`, or `bins` cover its numbers; `count` lines have any."""

    name: str
    count: int = 0
    kinds: int = 0
    values: tuple[Value, ...] = ()
    bins: tuple[Bin, ...] = ()

    @property
    def label(self) -> str:
        """What people read."""
        return label_of(self.name)

    @property
    def most(self) -> int:
        """The largest count."""
        return max((*(one.count for one in self.values), *(one.count for one in self.bins)), default=0) or 1


class Field(msgspec.Struct, frozen=True):
    """A field of JSON answers: how many have it, how many of them with a number, how many different values there are."""

    name: str
    count: int
    numbers: int
    kinds: int

    @property
    def is_number(self) -> bool:
        """Whether it is to be shown by its range."""
        return self.numbers >= 0.95 * self.count and self.kinds > TOP

    @property
    def is_telling(self) -> bool:
        """Whether its values come again, so that counting them says something."""
        return self.kinds * 2 <= self.count + 8


_Count = Callable[[Index, Filter, list[str]], Awaitable[dict[str, Spread]]]


async def fields(index: Index) -> list[Field]:
    """Return the fields of all answers, the most frequent first."""
    key = ("fields", index.version)
    found = index.known.get(key)
    if not isinstance(found, list):
        rows = await index.table.ask(
            "SELECT name, COUNT(*), COUNT(number), COUNT(DISTINCT value) FROM pairs GROUP BY name "  # noqa: S608 - our number
            f"ORDER BY 2 DESC, 1 LIMIT {_MAX_FIELDS}"
        )
        found = [Field(FIELD + row[0], *row[1:]) for row in rows]
        index.keep(key, found)
    return found


async def facets(index: Index, wanted: Filter) -> list[Spread]:
    """Return how everything that tells lines apart is spread. Raises UnavailableError when that takes too long."""
    known = await fields(index)
    named = [name for name, pairs in index.elsewhere.items() if pairs]
    valued = [*VALUED, *named, *(one.name for one in known if one.is_telling and not one.is_number)]
    ranged = [*RANGED, *(one.name for one in known if one.is_number)]
    by_value = await spreads(index, wanted, valued)
    by_number = await ranges(index, wanted, ranged)
    asked = {term.name for term in wanted.terms}
    worth = [
        one
        for one in by_value
        if len(one.values) > 1 or (one.values and one.name in {"code", "mark", *asked})
    ]
    return [*worth, *(one for one in by_number if len(one.bins) > 1 or one.name in asked)]


async def heads(index: Index, wanted: Filter, names: Iterable[str]) -> list[Spread]:
    """Return how columns of these names are spread: numbers in bins, what has values by the most frequent, in their order.

    Raises UnavailableError when that takes too long.
    """
    ordered = list(names)
    numeric = {one.name for one in await fields(index) if one.is_number} | set(RANGED)
    valued = [name for name in ordered if name not in numeric and (path_of(name) or name in DIMENSIONS)]
    found = await ranges(index, wanted, [name for name in ordered if name in numeric])
    found += await spreads(index, wanted, valued)
    by_name = {one.name: one for one in found}
    return [by_name.get(name, Spread(name=name)) for name in ordered]


async def spreads(index: Index, wanted: Filter, names: Iterable[str]) -> list[Spread]:
    """Return the most frequent values of these names, in their order."""
    return await _each(index, wanted, names, "values", _values)


async def ranges(index: Index, wanted: Filter, names: Iterable[str]) -> list[Spread]:
    """Return bins of these names' numbers, in their order."""
    return await _each(index, wanted, names, "bins", _bins)


async def _each(index: Index, wanted: Filter, names: Iterable[str], what: str, count: _Count) -> list[Spread]:
    """Count all names that have the same condition at once; an answer is kept."""
    by_filter: dict[Filter, list[str]] = defaultdict(list)
    ordered = list(names)
    for name in ordered:
        by_filter[wanted.without(name)].append(name)
    found: dict[str, Spread] = {}
    for rest, some in by_filter.items():
        key = (what, rest, tuple(some), index.version)
        known = index.known.get(key)
        if not isinstance(known, dict):
            known = await count(index, rest, some)
            index.keep(key, known)
        found |= known
    return [found.get(name, Spread(name=name)) for name in ordered]


async def _values(index: Index, wanted: Filter, names: list[str]) -> dict[str, Spread]:
    own = [name for name in names if not path_of(name)]
    rows = await _of_lines(index, wanted, own) if own else []
    rows += await _of_answers(index, wanted, names) if len(own) < len(names) else []
    found: dict[str, list[tuple[Value, int, int]]] = defaultdict(list)
    for name, value, count, kinds, whole in rows:
        found[name].append((Value(value, count), kinds, whole))
    return {
        name: Spread(name=name, values=tuple(one[0] for one in some), kinds=some[0][1], count=int(some[0][2]))
        for name, some in found.items()
    }


async def _of_lines(index: Index, wanted: Filter, names: list[str]) -> list[tuple[Any, ...]]:
    """Return (name, value, lines, how many values, how many lines) for what lines have, in one pass."""
    where, values = await _condition(index, wanted)
    named = ", ".join(f"{DIMENSIONS[name]} AS v{place}" for place, name in enumerate(names))
    given = [f"v{place}" for place in range(len(names))]
    rows = await index.table.ask(
        f"WITH chosen AS (SELECT {named} FROM lines WHERE {where}), "  # noqa: S608 - our names; values are bound
        f"counted AS (SELECT GROUPING_ID({', '.join(given)}) AS which, COALESCE({', '.join(given)}) AS value, COUNT(*) AS n "
        f"FROM chosen GROUP BY GROUPING SETS ({', '.join(f'({one})' for one in given)})) "
        "SELECT which, value, n, COUNT(*) OVER kind, SUM(n) OVER kind FROM counted WHERE value <> '' "
        f"WINDOW kind AS (PARTITION BY which) QUALIFY ROW_NUMBER() OVER (PARTITION BY which ORDER BY n DESC, value) <= {TOP} "
        "ORDER BY which, n DESC, value",
        values,
        seconds=SECONDS,
    )
    return [(names[_place(row[0], len(names))], *row[1:]) for row in rows]


def _place(which: int, count: int) -> int:
    """Return which one of the columns a grouping is by: its bit alone is 0, the first column's is the highest."""
    return count - (~which & ((1 << count) - 1)).bit_length()


async def _of_answers(index: Index, wanted: Filter, names: list[str]) -> list[tuple[Any, ...]]:
    """Return the same for fields of answers."""
    within, values = await _within(index, wanted)
    rows = await index.table.ask(
        "WITH counted AS (SELECT name, value, COUNT(*) AS n FROM pairs "  # noqa: S608
        f"WHERE list_contains(?::VARCHAR[], name) AND {within} GROUP BY ALL) "
        "SELECT name, value, n, COUNT(*) OVER kind, SUM(n) OVER kind FROM counted WINDOW kind AS (PARTITION BY name) "
        f"QUALIFY ROW_NUMBER() OVER (PARTITION BY name ORDER BY n DESC, value) <= {TOP} ORDER BY name, n DESC, value",
        [[path_of(name) for name in names], *values],
        seconds=SECONDS,
    )
    return [(FIELD + row[0], *row[1:]) for row in rows]


async def _within(index: Index, wanted: Filter) -> tuple[str, list[object]]:
    if wanted.is_empty:
        return "TRUE", []
    where, values = await _condition(index, wanted)
    return f"line IN (SELECT line FROM lines WHERE {where})", values  # noqa: S608


async def _bins(index: Index, wanted: Filter, names: list[str]) -> dict[str, Spread]:
    """Bins reach over all lines of the batch, so that they stay where they are while one filters."""
    cuts = await _cuts(index, names)
    cut = {name: cuts[name] for name in names if cuts[name]}
    if not cut:
        return {}
    where, values = await _condition(index, wanted)
    columns, bound = _columns(list(cut))
    bins = ", ".join(f"{_bin_of(f'v{n}', len(found))} AS b{n}" for n, found in enumerate(cut.values()))
    given = [f"b{n}" for n in range(len(cut))]
    rows = await index.table.ask(
        f"WITH chosen AS (SELECT {columns} FROM lines WHERE {where}), binned AS (SELECT {bins} FROM chosen) "  # noqa: S608
        f"SELECT GROUPING_ID({', '.join(given)}) AS which, COALESCE({', '.join(given)}) AS bin, COUNT(*) "
        f"FROM binned GROUP BY GROUPING SETS ({', '.join(f'({one})' for one in given)})",
        [*bound, *values, *(low for found in cut.values() for low, _, _ in found[1:])],
        seconds=SECONDS,
    )
    ordered = list(cut)
    counts = {(ordered[_place(which, len(ordered))], place): count for which, place, count in rows}
    found: dict[str, Spread] = {}
    for name, ends in cut.items():
        bins_of = tuple(
            Bin(low, high, counts.get((name, n), 0), is_last) for n, (low, high, is_last) in enumerate(ends)
        )
        found[name] = Spread(name=name, count=sum(one.count for one in bins_of), bins=bins_of)
    return found


def _bin_of(name: str, count: int) -> str:
    """Return which bin a number is in; a question mark for the beginning of each but the first."""
    steps = "".join(f" WHEN {name} < ? THEN {place}" for place in range(count - 1))
    return f"CASE WHEN {name} IS NULL THEN NULL{steps} ELSE {count - 1} END"


async def _cuts(index: Index, names: list[str]) -> dict[str, list[tuple[float, float, bool]]]:
    """Return the bins of these names over all lines; kept until something is taken in."""
    key = ("cuts", tuple(names), index.version)
    found = index.known.get(key)
    if not isinstance(found, dict):
        columns, bound = _columns(names)
        ends = ", ".join(
            f"MIN(v{n}), MAX(v{n}), COUNT(v{n}), COUNT(*) FILTER (WHERE v{n} <> floor(v{n}))"
            for n in range(len(names))
        )
        (reach,) = await index.table.ask(
            f"WITH chosen AS (SELECT {columns} FROM lines) SELECT {ends} FROM chosen",  # noqa: S608
            bound,
            seconds=SECONDS,
        )
        found = {name: _cut(*reach[4 * n : 4 * n + 4]) for n, name in enumerate(names)}
        index.keep(key, found)
    return found


async def _condition(index: Index, wanted: Filter) -> tuple[str, list[object]]:
    """Return the condition of a filter; one that reads texts or answers is asked once, and counts go by the lines that it found."""
    if wanted.text or any(term.sign == "in" or path_of(term.name) for term in wanted.terms):
        found = await numbers(index, wanted)
        if len(found) <= _FEW:
            return "line IN (SELECT UNNEST(?::BIGINT[]))", [list(found)]
    return wanted.condition()


def _columns(names: list[str]) -> tuple[str, list[object]]:
    found = [number_of(name) for name in names]
    return ", ".join(f"{text} AS v{n}" for n, (text, _) in enumerate(found)), [
        one for _, bound in found for one in bound
    ]


def _cut(low: float | None, high: float | None, count: int, broken: int) -> list[tuple[float, float, bool]]:
    """Return from where to where each bin reaches, and whether it is the last; whole numbers get whole edges."""
    if low is None or high is None or not count:
        return []
    if broken:
        step = (high - low) / BINS
        lows = [low + step * n for n in range(BINS)]
    else:
        step = ceil((high - low + 1) / BINS)
        lows = [low + step * n for n in range(BINS) if low + step * n <= high]
    highs = [*lows[1:], high]
    return [(one, other, n == len(lows) - 1) for n, (one, other) in enumerate(zip(lows, highs, strict=True))]


def plain(value: float) -> str:
    """Return a number as a filter has it: exactly, and whole ones without a point."""
    return str(int(value)) if value == floor(value) and abs(value) < 2**53 else repr(value)


assert set(RANGED) <= set(NUMBERS)  # noqa: S101 - names of the same table
