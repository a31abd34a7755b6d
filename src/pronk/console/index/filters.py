"""Which lines: a filter as it stands in the address, and the conditions that it means. Values are always bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import QueryParams

DIMENSIONS: Final = {
    "state": "state",
    "code": "code",
    "bucket": "bucket",
    "prefix": "prefix",
    "ending": "ending",
    "type": "type",
    "replica": "replica",
    "tries": "CAST(tries AS VARCHAR)",
    "bytes": "CASE WHEN bytes < 100000 THEN 'under 100 kB' WHEN bytes < 1000000 THEN '100 kB to 1 MB' "
    "WHEN bytes < 5000000 THEN '1 to 5 MB' WHEN bytes IS NOT NULL THEN 'over 5 MB' END",
    "pictures": "CAST(pictures AS VARCHAR)",
    "minute": "strftime(to_timestamp(ended_at // 60 * 60) AT TIME ZONE 'UTC', '%d %b %H:%M')",
}
"""What lines can be told apart by: our names to our expressions."""

_TEXT: Final = (
    "(contains(lower(answer), ?) OR contains(lower(prompt), ?) OR contains(lower(custom_id), ?) "
    "OR contains(lower(message), ?) OR contains(lower(array_to_string(refs, ' ')), ?))"
)
_FIELD: Final = "field."
_MAX: Final = 20


class Filter(msgspec.Struct, frozen=True):
    """Lines whose dimensions and answer fields have these values and that have `text` somewhere.

    `chosen` holds (name, value) pairs; a name is a dimension or ``field.PATH``.
    """

    chosen: tuple[tuple[str, str], ...] = ()
    text: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it lets everything through."""
        return not self.chosen and not self.text

    def address(self, *, text: str | None = None) -> str:
        """Return the query of an address."""
        pairs = [("q", self.text if text is None else text), *self.chosen]
        return urlencode([(name, value) for name, value in pairs if value])

    def has(self, name: str, value: str) -> bool:
        """Return whether a value was chosen."""
        return (name, value) in self.chosen

    def toggled(self, name: str, value: str) -> Filter:
        """Return the filter with one value chosen, in the place of others of its dimension, or not any more."""
        others = tuple(pair for pair in self.chosen if pair[0] != name)
        return Filter(others if self.has(name, value) else (*others, (name, value)), self.text)

    def without(self, name: str) -> Filter:
        """Return the filter without a dimension."""
        return Filter(tuple(pair for pair in self.chosen if pair[0] != name), self.text)

    def condition(self) -> tuple[str, list[object]]:
        """Return a condition and the values for its question marks."""
        found = list(self._conditions())
        text = " AND ".join(condition for condition, _ in found) or "TRUE"
        return text, [value for _, values in found for value in values]

    def _conditions(self) -> Iterator[tuple[str, list[object]]]:
        for name, value in self.chosen:
            if name.startswith(_FIELD):
                yield "fields[?] = ?", [name.removeprefix(_FIELD), value]
            else:
                yield f"{DIMENSIONS[name]} = ?", [value]
        if self.text:
            wanted = self.text.lower()
            yield _TEXT, [wanted] * _TEXT.count("?")


def read_filter(query: QueryParams) -> Filter:
    """Return the filter of an address; names that are not known are left out."""
    known = [
        (name, value[:300])
        for name, value in query.multi_items()
        if value and (name in DIMENSIONS or (name.startswith(_FIELD) and len(name) < 200))
    ]
    return Filter(tuple(dict.fromkeys(known[:_MAX])), query.get("q", "").strip()[:300])
