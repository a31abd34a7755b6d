"""What all batches of a span did together: sums that match the API's, and their course over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from pronk.store.overview import Sum

DAY: Final = 86_400
RANGES: Final[Mapping[str, int]] = {"24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY}
_STEPS: Final = (300, 3600, 6 * 3600, DAY, 7 * DAY)
_MAX_STEPS: Final = 100


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which batches count: those created from `since` to `until`; `name` is a key of RANGES, or ``""`` for chosen days."""

    name: str
    since: float
    until: float
    first_day: str = ""
    last_day: str = ""

    @property
    def step(self) -> int:
        """Seconds that one bar stands for."""
        fitting = [step for step in _STEPS if (self.until - self.since) / step <= _MAX_STEPS]
        return 3600 if self.name == "24h" else (fitting or [_STEPS[-1]])[0]


class Totals(msgspec.Struct, kw_only=True):
    """Sums over a span. `cost` is None while no batch of it has a price."""

    batches: int = 0
    total: int = 0
    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = None


def read_span(name: str, first_day: str, last_day: str, now: float) -> Span:
    """Return the span that an address means; whatever cannot be read is the last week. Days are those of UTC."""
    first, last = _day(first_day), _day(last_day)
    if first is not None:
        end = (last or datetime.fromtimestamp(now, UTC)) + timedelta(days=1)
        return Span(
            name="",
            since=first.timestamp(),
            until=max(end.timestamp(), first.timestamp() + DAY),
            first_day=first_day,
            last_day=last_day if last else "",
        )
    name = name if name in RANGES else "7d"
    return Span(name=name, since=now - RANGES[name], until=now + DAY)


def sum_up(sums: Sequence[Sum]) -> Totals:
    """Return the sums of all steps and jobs."""
    whole = Totals()
    for one in sums:
        whole.batches += one.batches
        whole.total += one.counts.total
        whole.completed += one.counts.completed
        whole.failed += one.counts.failed
        whole.input_tokens += one.usage.input_tokens
        whole.output_tokens += one.usage.output_tokens
        whole.cached_tokens += one.usage.cached_tokens
        if one.cost is not None:
            whole.cost = (whole.cost or 0.0) + one.cost
    return whole


def course(sums: Sequence[Sum], span: Span, now: float) -> list[tuple[int, Totals]]:
    """Return the sums of every step of a span, also of those in which nothing happened."""
    by_step: dict[int, list[Sum]] = {}
    for one in sums:
        by_step.setdefault(one.at, []).append(one)
    first, last = int(span.since) // span.step, int(min(now, span.until)) // span.step
    return [(at * span.step, sum_up(by_step.get(at * span.step, []))) for at in range(first, last + 1)]


def chart(steps: Sequence[tuple[int, Totals]]) -> dict[str, Any]:
    """Return what draws the requests of each step as bars: failed ones over answered ones."""
    return {
        "kind": "bars",
        "series": [{"label": "requests", "color": "--bad"}, {"label": "answered", "color": "--good"}],
        "data": [
            [at for at, _ in steps],
            [one.completed + one.failed for _, one in steps],
            [one.completed for _, one in steps],
        ],
    }


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
