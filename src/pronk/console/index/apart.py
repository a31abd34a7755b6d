"""What sets the failed lines apart: values that they have far more often than the others, the most telling ones first."""

from __future__ import annotations

from math import log
from typing import Final

import msgspec

from pronk.console.index.columns import DIMENSIONS
from pronk.console.index.filters import chosen
from pronk.console.index.shelf import MAX_BUCKETS, Index, RegionOf

_LOOKED_AT: Final = ("bucket", "prefix", "ending", "type", "bytes", "pictures", "replica", "minute")
_MIN_LINES: Final = 3
_SECONDS: Final = 2.0

_Row = tuple[str, int, int]
"""A value, how many lines have it, how many of them failed."""


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


async def causes(
    index: Index, code: str | None = None, *, region_of: RegionOf | None = None, limit: int = 3
) -> list[Cause]:
    """Return the values that tell most about failing (with `code`, if one is given), one for each dimension, strongest first.

    Raises UnavailableError when that takes too long.
    """
    rows = {name: await _rows(index, name, code) for name in _LOOKED_AT}
    if region_of is not None:
        rows["region"] = await _by_region(rows["bucket"], region_of)
    found: list[Cause] = []
    for name, values in rows.items():
        best = max(_told(name, values), key=lambda cause: cause.weight, default=None)
        if best is not None:
            found.append(best)
    return sorted(found, key=lambda cause: -cause.weight)[:limit]


async def _rows(index: Index, name: str, code: str | None) -> list[_Row]:
    where, values = chosen("code", code).condition() if code else ("code IS NOT NULL", [])
    rows = await index.table.ask(
        f"SELECT {DIMENSIONS[name]} AS value, COUNT(*) AS n, COUNT(*) FILTER (WHERE {where}) AS bad FROM lines "  # noqa: S608
        "WHERE state <> 'waiting' GROUP BY 1",
        values,
        seconds=_SECONDS,
    )
    return [(value, count, failed) for value, count, failed in rows]


async def _by_region(buckets: list[_Row], region_of: RegionOf) -> list[_Row]:
    """Return the rows of buckets put together by region; [] where that says no more than the buckets do."""
    if len(buckets) > MAX_BUCKETS:
        return []
    sums: dict[str, tuple[int, int]] = {}
    for bucket, count, failed in buckets:
        region = (await region_of(bucket) if bucket else None) or ""
        had = sums.get(region, (0, 0))
        sums[region] = (had[0] + count, had[1] + failed)
    if len(sums) == len(buckets):
        return []
    return [(region, count, failed) for region, (count, failed) in sums.items()]


def _told(name: str, rows: list[_Row]) -> list[Cause]:
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
