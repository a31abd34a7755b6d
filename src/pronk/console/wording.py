"""Numbers, times and sizes as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

NONE: Final = "\N{EN DASH}"
_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60))


def number(value: float | None) -> str:
    """Return a whole number with thin spaces between thousands: ``50 000``."""
    return NONE if value is None else f"{round(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def short(value: float | None) -> str:
    """Return a number in at most five characters: ``950``, ``12.3k``, ``4.0M``."""
    if value is None:
        return NONE
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scaled = value / (1e3 if unit == "k" else limit)
            return f"{scaled:.1f}{unit}" if scaled < 100 else f"{scaled:.0f}{unit}"
    return number(value)


def figure(value: float | None) -> str:
    """Return a measured number in at most six digits: ``1 200``, ``0.125``, ``3.5e+09``."""
    if value is None:
        return NONE
    return number(value) if value == round(value) and abs(value) < 1e7 else f"{value:.6g}"


def percent(part: float, whole: float) -> str:
    """Return a share; never 100 % or 0 % unless it is."""
    if not whole:
        return NONE
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "<0.1%"
    if 99.9 < share < 100:
        return ">99.9%"
    return f"{share:.0f}%" if share in (0, 100) or share >= 10 else f"{share:.1f}%"


def rate(value: float | None) -> str:
    """Return requests a second."""
    if value is None:
        return NONE
    return f"{value:.1f}/s" if value < 10 else f"{number(value)}/s"


def duration(seconds: float | None) -> str:
    """Return a span in its two largest units: ``3 d 4 h``, ``12 min``, ``8 s``."""
    if seconds is None:
        return NONE
    left = max(0, round(seconds))
    if left < 60:
        return f"{left} s"
    found = []
    for unit, size in _UNITS:
        if left >= size:
            found.append(f"{left // size} {unit}")
            left %= size
        elif found:
            break
    return (
        " ".join(found[:2]) if len(found) > 1 or left < 1 or found[0][-1] != "n" else f"{found[0]} {left} s"
    )


def milliseconds(value: float | None) -> str:
    """Return a time of a line: ``85 ms``, ``1.42 s``."""
    if value is None:
        return NONE
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def size(value: float | None) -> str:
    """Return bytes: ``812 B``, ``1.4 MB``."""
    if value is None:
        return NONE
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{value / limit:.1f} {unit}"
    return f"{value:.0f} B"


def dollars(value: float | None) -> str:
    """Return a cost; a tiny one is not shown as nothing."""
    if value is None:
        return NONE
    if 0 < value < 0.01:
        return f"${value:.4f}" if value >= 0.0001 else "<$0.0001"
    return f"${value:,.2f}"


def moment(seconds: float | None) -> str:
    """Return a time in UTC as the machine-readable form that scripts turn into the reader's own."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(seconds: float | None) -> str:
    """Return a time in UTC for people."""
    return NONE if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%d %b %Y %H:%M:%S")


def cut(text: str | None, limit: int) -> str:
    """Return at most `limit` characters."""
    text = text or ""
    return text if len(text) <= limit else text[: limit - 1] + "…"
