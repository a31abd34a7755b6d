"""The lines of a filter in groups by what they have of one name."""

from __future__ import annotations

from typing import Final

import msgspec

from pronk.console.index.columns import DIMENSIONS, path_of, value_of
from pronk.console.index.filters import Filter, Term
from pronk.console.index.shelf import Index

MAX_GROUPS: Final = 50_000


class Group(msgspec.Struct, frozen=True):
    """Lines with the same value of a name, None for those that have nothing."""

    name: str
    value: str | None
    count: int

    @property
    def term(self) -> Term:
        """What means exactly these lines."""
        return Term(self.name, "lacks") if self.value is None else Term(self.name, "is", self.value)


def can_group(name: str) -> bool:
    """Return whether lines can be grouped by a name."""
    return bool(path_of(name)) or name in DIMENSIONS


async def groups(index: Index, wanted: Filter, name: str) -> list[Group]:
    """Return the groups of a filter, whatever it says of `name` itself: the largest first, what has nothing last."""
    rest = wanted.without(name)
    key = ("groups", rest, name, index.version)
    found = index.known.get(key)
    if not isinstance(found, list):
        where, values = rest.condition()
        text, bound = value_of(name)
        value = text if path_of(name) else f"NULLIF({text}, '')"
        rows = await index.table.ask(
            f"SELECT {value} AS value, COUNT(*) AS n FROM lines WHERE {where} GROUP BY 1 "  # noqa: S608 - our names
            f"ORDER BY value IS NULL, n DESC, value LIMIT {MAX_GROUPS}",
            [*bound, *values],
        )
        found = [Group(name, row[0], row[1]) for row in rows]
        index.keep(key, found)
    return found


def place_in(found: list[Group], wanted: Filter) -> int | None:
    """Return which of the groups a filter shows, None when it shows no single one."""
    return next((place for place, group in enumerate(found) if group.term in wanted.terms), None)
