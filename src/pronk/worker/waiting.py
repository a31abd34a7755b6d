"""A line of things to be taken, first come first served; each arrival wakes one taker."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiting(Generic[T]):
    """An unbounded queue whose producers keep it short by looking at its length."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._takers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def push(self, item: T) -> None:
        """Add at the end."""
        self._items.append(item)
        self._call(1)

    def push_first(self, items: list[T]) -> None:
        """Put items before all others, in their order."""
        self._items.extendleft(reversed(items))
        self._call(len(items))

    def clear(self) -> list[T]:
        """Take everything."""
        items, self._items = list(self._items), deque()
        return items

    def pop_now(self) -> T | None:
        """Take the first if there is one."""
        return self._items.popleft() if self._items else None

    def peek(self) -> T | None:
        """Return the first without taking it."""
        return self._items[0] if self._items else None

    async def pop(self) -> T:
        """Take the first, waiting for one if need be."""
        while not self._items:
            called = asyncio.get_running_loop().create_future()
            self._takers.append(called)
            try:
                await called
            except BaseException:
                self._leave(called)
                raise
        return self._items.popleft()

    def _call(self, count: int) -> None:
        """Wake so many takers; one that is being cancelled hands its call on when it leaves."""
        for _ in range(min(count, len(self._takers))):
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)

    def _leave(self, called: asyncio.Future[None]) -> None:
        """A taker that goes away hands its call on."""
        if called in self._takers:
            self._takers.remove(called)
        elif self._items:
            self._call(1)
