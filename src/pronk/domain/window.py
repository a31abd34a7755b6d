"""Completion windows: ``unlimited``, or a whole number of minutes, hours or days up to 30 days."""

from __future__ import annotations

import re

UNLIMITED = "unlimited"
MAX_SECONDS = 30 * 86_400

_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}
_WINDOW = re.compile(r"([0-9]{1,6})([mhd])")


def window_seconds(window: str) -> int | None:
    """Return the length of a window in seconds, None when it has no end.

    Raises ValueError with a sentence that says what would be right.
    """
    if window == UNLIMITED:
        return None
    match = _WINDOW.fullmatch(window)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(
            f"completion_window {window!r} is not a window; use 'unlimited', '24h', or a whole number "
            "of minutes (m), hours (h) or days (d) up to 30 days, such as '90m' or '7d'"
        )
    return seconds
