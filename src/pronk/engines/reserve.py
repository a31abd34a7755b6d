"""How many of an engine's slots batches leave free, for requests that are answered at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from pronk.domain.engine import EngineSpec

Reserve = Callable[[int], int]
"""From a number of slots to how many of them stay free."""

_LEAST_SLOTS: Final = 8
"""Of fewer, a single one would cost batches too much of the engine."""


def nothing(slots: int) -> int:  # noqa: ARG001  # one of several Reserves
    """Leave nothing free."""
    return 0


def a_twentieth(slots: int) -> int:
    """Leave a twentieth free, at least one, and none of fewer than eight."""
    return max(1, round(slots / 20)) if slots >= _LEAST_SLOTS else 0


def reserve_of(spec: EngineSpec, parts: int = 1) -> Reserve:
    """Return what is left free of one of `parts` equal parts of an engine; batches keep one slot at least."""
    wish = spec.reserve_for_now
    if wish == "auto":
        return a_twentieth
    each = math.ceil(wish / parts)
    return lambda slots: max(0, min(each, slots - 1))
