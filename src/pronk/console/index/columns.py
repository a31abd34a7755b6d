"""What lines can be told apart by: names that people use, and the expressions that they stand for. Pure."""

from __future__ import annotations

from math import isfinite
from typing import Final

Expression = tuple[str, list[object]]
"""Our SQL, and the values for its question marks."""

FIELD: Final = "field."
"""What the name of a field of JSON answers begins with; its path follows."""

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
    "custom_id": "custom_id",
    "region": "(SELECT regions.region FROM regions WHERE regions.bucket = lines.bucket)",
    "mark": "(SELECT marks.mark FROM marks WHERE marks.line = lines.line)",
}
"""What has values: our names to our expressions over ``lines``."""

NUMBERS: Final = {
    name: f"CAST({name} AS DOUBLE)"
    for name in (
        "line", "input_tokens", "output_tokens", "engine_ms", "fetch_ms", "bytes", "width", "height", "tries", "pictures",
    )
}  # fmt: skip
"""What has a range."""

TEXTS: Final = {
    "answer": "answer",
    "prompt": "prompt",
    "custom_id": "custom_id",
    "message": "message",
    "reference": "array_to_string(refs, ' ')",
}
"""What words can stand in."""

NAMES: Final = tuple(dict.fromkeys((*DIMENSIONS, *NUMBERS, *TEXTS)))
_LABELS: Final = {
    "ending": "File type",
    "bytes": "Size",
    "pictures": "Pictures a line",
    "engine_ms": "Engine, ms",
    "fetch_ms": "Fetching, ms",
    "custom_id": "Id",
}


def label_of(name: str) -> str:
    """Return what people read for a name."""
    return path_of(name) or _LABELS.get(name, name.replace("_", " ").capitalize())


def path_of(name: str) -> str:
    """Return the path of an answer field, empty for any other name."""
    return name.removeprefix(FIELD) if name.startswith(FIELD) else ""


def value_of(name: str) -> Expression:
    """Return what a name's value is, as text."""
    path = path_of(name)
    return ("fields[?]", [path]) if path else (DIMENSIONS[name], [])


def number_of(name: str) -> Expression:
    """Return what a name's number is; NULL where it has none."""
    path = path_of(name)
    return ("number_of(fields[?])", [path]) if path else (NUMBERS[name], [])


def text_of(name: str) -> Expression:
    """Return the text that words are looked for in."""
    path = path_of(name)
    return ("fields[?]", [path]) if path else (TEXTS[name], [])


def anything_of(name: str) -> Expression:
    """Return whether a name has anything, as text."""
    for table in (DIMENSIONS, TEXTS):
        if name in table:
            return f"NULLIF({table[name]}, '')", []
    return value_of(name) if path_of(name) else number_of(name)


def as_number(text: str) -> float | None:
    """Return the finite number that a text is, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) and "_" not in text else None
