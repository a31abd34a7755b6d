"""What a run found: rows of figures, printed as a table of ratios, written as JSON, and made into docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import load

PRODUCT = "pronk"


@dataclass(frozen=True)
class Row:
    """One system on one piece of work; `load` is the machine's when it had ended."""

    case: str
    who: str
    figures: dict[str, float]
    load: float = field(default_factory=load)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}


def write_json(path: Path, rows: Iterable[Row], command: str) -> None:
    """Keep a run."""
    path.write_text(
        json.dumps(
            {"command": command, "machine": machine(), "rows": [asdict(row) for row in rows]}, indent=1
        )
        + "\n"
    )


def table(rows: list[Row]) -> str:
    """Return all rows as a Markdown table for each case, with each system's rate as a share of the product's."""
    cases = dict.fromkeys(row.case for row in rows)
    return "\n\n".join(_case(case, [row for row in rows if row.case == case]) for case in cases)


def _case(case: str, rows: list[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    lines = [f"### {case}", "", _line(["", *names, "pronk is", "load"]), _line(["---"] * (len(names) + 3))]
    ours = next((row for row in rows if row.who == PRODUCT), None)
    for row in rows:
        values = [shown(row.figures[name]) if name in row.figures else "" for name in names]
        lines.append(_line([row.who, *values, _ratio(ours, row), f"{row.load:.1f}"]))
    return "\n".join(lines)


def _ratio(ours: Row | None, row: Row) -> str:
    rate = next(iter(row.figures))
    if ours is None or ours is row or rate not in ours.figures or not rate.endswith("/s"):
        return ""
    return f"{ours.figures[rate] / row.figures[rate]:.2f} times"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def shown(value: float) -> str:
    """Return a figure with as many digits as mean anything."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
