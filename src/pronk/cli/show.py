"""How commands print what they got: JSON for programs, aligned columns for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], object]]
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def as_json(value: object) -> None:
    """Print one JSON value on one line."""
    print(json.dumps(value, ensure_ascii=False))


def as_table(rows: Sequence[Row], columns: Sequence[Column], *, empty: str) -> None:
    """Print rows below their headings; `empty` when there are none."""
    if not rows:
        print(empty)
        return
    table = [[heading for heading, _ in columns]]
    table += [[_text(read(row)) for _, read in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def as_fields(row: Row) -> None:
    """Print the members of one object that have a value; times as times."""
    shown = {key: value for key, value in row.items() if value is not None and key != "object"}
    width = max(map(len, shown), default=0)
    for key, value in shown.items():
        print(f"{key.ljust(width)}  {moment(value) if key.endswith('_at') else _text(value)}")


def moment(seconds: object) -> str:
    """Return Unix seconds as local time."""
    if not isinstance(seconds, int | float):
        return ""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size(count: float) -> str:
    """Return bytes for people, in thousands."""
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"


def _text(value: object) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
