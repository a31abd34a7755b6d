"""What sets the failed lines apart: values that they have far more often than the others, the most telling ones first."""

from __future__ import annotations

from math import log
from typing import Final

import msgspec

from pronk.console.index.filters import DIMENSIONS, Filter
from pronk.console.index.shelf import Index

_LOOKED_AT: Final = ("bucket", "prefix", "ending", "type", "bytes", "pictures", "replica", "minute")
_MIN_LINES: Final = 3
_SECONDS: Final = 2.0


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A value that failed lines share: `failed` of the `lines` that have it failed, and of `others` without it `failed_others`."""

    name: str
    value: str
    lines: int
    failed: int
    others: int
    failed_others: int

    @property
    def lift(self) -> float:
        """How many times as often lines with the value fail as lines without it; one more line on either side keeps it finite."""
        return ((self.failed + 0.5) / (self.lines + 1)) / ((self.failed_others + 0.5) / (self.others + 1))

    @property
    def weight(self) -> float:
        """What the value tells about failing, in nats of mutual information over all lines."""
        cells = (
            (self.failed, self.lines),
            (self.lines - self.failed, self.lines),
            (self.failed_others, self.others),
            (self.others - self.failed_others, self.others),
        )
        whole = self.lines + self.others
        failed = self.failed + self.failed_others
        sums = (failed, whole - failed, failed, whole - failed)
        return sum(
            count / whole * log(count * whole / (row * column))
            for (count, row), column in zip(cells, sums, strict=True)
            if count
        )


async def causes(index: Index, code: str | None = None, limit: int = 3) -> list[Cause]:
    """Return the values that tell most about failing (with `code`, if one is given), one for each dimension, strongest first.

    Raises UnavailableError when that takes too long.
    """
    found: list[Cause] = []
    for name in _LOOKED_AT:
        best = max(await _of_dimension(index, name, code), key=lambda cause: cause.weight, default=None)
        if best is not None:
            found.append(best)
    return sorted(found, key=lambda cause: -cause.weight)[:limit]


async def _of_dimension(index: Index, name: str, code: str | None) -> list[Cause]:
    where, values = Filter((("code", code),)).condition() if code else ("code IS NOT NULL", [])
    rows = await index.table.ask(
        f"SELECT {DIMENSIONS[name]} AS value, COUNT(*) AS n, COUNT(*) FILTER (WHERE {where}) AS bad FROM lines "  # noqa: S608
        "WHERE state <> 'waiting' GROUP BY 1",
        values,
        seconds=_SECONDS,
    )
    whole, failed = sum(row[1] for row in rows), sum(row[2] for row in rows)
    made = [
        Cause(
            name=name,
            value=value,
            lines=count,
            failed=bad,
            others=whole - count,
            failed_others=failed - bad,
        )
        for value, count, bad in rows
        if value and bad >= _MIN_LINES and count < whole
    ]
    return [cause for cause in made if cause.lift > 1.5]
