"""One flight per key: whoever asks while somebody fetches waits for that answer instead of fetching again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from pronk.domain.errors import PronkError

K = TypeVar("K")
V = TypeVar("V")


class _Flight(Generic[V]):
    __slots__ = ("error", "landed", "value")

    def __init__(self) -> None:
        self.landed: anyio.Event | None = None
        self.value: V | None = None
        self.error: PronkError | None = None


class Flights(Generic[K, V]):
    """Runs at most one `make` per key at a time, in the task of whoever came first.

    Its answer, or the PronkError it raised, goes to all who wait. If the first one is cancelled the next one starts again,
    so that nobody suffers from another's cancellation and nothing runs without an owner.
    """

    def __init__(self) -> None:
        self._open: dict[K, _Flight[V]] = {}

    async def run(self, key: K, make: Callable[[], Awaitable[V]]) -> tuple[V, bool]:
        """Return the answer, and whether this call was the one that fetched it."""
        while (flight := self._open.get(key)) is not None:
            flight.landed = flight.landed or anyio.Event()
            await flight.landed.wait()
            if flight.error is not None:
                raise flight.error.with_traceback(None)
            if flight.value is not None:
                return flight.value, False
        flight = self._open[key] = _Flight()
        try:
            flight.value = value = await make()
        except PronkError as error:
            flight.error = error
            raise
        finally:
            del self._open[key]
            if flight.landed is not None:
                flight.landed.set()
            # An error holds the frames it came through. One that this frame held in turn would keep all of them, and what
            # they have in hand, until the next collection of cycles.
            del flight
        return value, True
