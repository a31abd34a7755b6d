"""An event loop whose time is told and not lived: whoever sleeps wakes at once, in the order of waking times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

TICK = 1e-6
"""Seconds that one turn of the loop takes, so that a task that spins comes to an end."""


class StuckError(Exception):
    """Every task waits for another one."""


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop without sockets, threads or signals. It is its own selector: to wait is to put the clock forward."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self
        self._seconds = 0.0

    def time(self) -> float:
        return self._seconds

    def select(self, timeout: float | None) -> list[Any]:
        """Wait until the next timer."""
        if timeout is None:
            raise StuckError("nobody has anything to do, and the work is not done")
        self._seconds += timeout + TICK
        return []

    def _process_events(self, events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody calls from another thread."""


def run_virtually(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on a loop of its own."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main(loop))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
