"""Lines of a batch on the wire, as the console filters them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pronk.api.schemas.base import Out


class FilteredLine(Out):
    """One line: what was asked, what came of it, what was measured. Texts are the first 2,000 characters."""

    line: int
    custom_id: str
    state: Literal["ok", "failed", "waiting"]
    code: str | None
    message: str | None
    param: str | None
    status: int | None
    prompt: str | None
    answer: str | None
    fields: dict[str, str] | None = Field(
        description="Fields of a JSON answer by path, as JSON writes them; strings bare."
    )
    refs: list[str] | None
    pictures: int
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
    mark: str | None


class Filtered(Out):
    """What every answer about lines says: `filter` as it was read, and whether all lines were looked at."""

    object: Literal["list"] = "list"
    filter: str
    is_whole: bool = Field(
        description="False while lines are still read: what is told is of those read so far."
    )


class FilteredLines(Filtered):
    """A page of the lines of a filter; `last_line` is the `after` of the next."""

    total: int
    data: list[FilteredLine]
    last_line: int | None
    has_more: bool


class SpreadValue(Out):
    """A value and how many lines have it; `filter` shows exactly those."""

    value: str
    count: int
    filter: str


class SpreadBin(Out):
    """Numbers from `low` to `high`, which belongs to the next bin unless this is the last."""

    low: float
    high: float
    count: int
    filter: str


class Spread(Out):
    """How a name is spread: the most frequent of its `kinds` values, or its numbers in at most ten bins."""

    name: str
    kinds: int
    values: list[SpreadValue]
    bins: list[SpreadBin]


class SpreadList(Filtered):
    """How everything that tells lines apart is spread."""

    data: list[Spread]


class LineGroup(Out):
    """Lines with the same value, null for those that have none."""

    value: str | None
    count: int
    filter: str


class LineGroups(Filtered):
    """The largest groups of all `kinds`."""

    by: str
    kinds: int
    data: list[LineGroup]
