"""Bytes of media that may be in memory for lines on their way: first come, first served, and never a deadlock.

A line takes what it expects to need before it starts. When an object turns out larger than what is free, the line gives
everything back and queues again with the true number, so nobody waits while holding. More than the whole budget may pass
alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import anyio

from pronk.domain.errors import PronkError

_FIRST_GUESS = 1_000_000
_FADE = 0.9


class CrowdedError(PronkError):
    """There is no room for an object of this size at this moment."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Lease:
    """What one line holds; `close` gives it back and may be called again."""

    __slots__ = ("_budget", "held")

    def __init__(self, budget: Budget, held: int) -> None:
        self._budget = budget
        self.held = held

    def grow_to(self, amount: int) -> bool:
        """Hold `amount` in all if there is room for it now; nothing is taken and False returned if not."""
        more = amount - self.held
        if more > 0 and not self._budget.take_now(more, alone=self.held == self._budget.used):
            return False
        self.held = max(self.held, amount)
        return True

    def shrink_to(self, amount: int) -> None:
        """Give back what was taken too much."""
        if amount < self.held:
            self._budget.give(self.held - amount)
            self.held = amount

    def close(self) -> None:
        """Give everything back."""
        self.shrink_to(0)


class Budget:
    """`limit` bytes for all lines of a worker."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._queue: deque[_Waiter] = deque()
        self._guess = float(_FIRST_GUESS)

    def guess(self) -> int:
        """Return what an object of unknown size is expected to need: near the largest of late."""
        return int(self._guess)

    def learn(self, size: int) -> None:
        """Take the size of an object into later guesses."""
        self._guess = max(float(size), self._guess * _FADE)

    async def take(self, need: Callable[[int], int]) -> Lease:
        """Wait for as many bytes as `need` makes of the guess, behind everybody who waits already.

        It is asked anew while it waits: those who queued before anything was known must not hold up a worker for that.
        """
        amount = need(self.guess())
        if self._queue or not self._fits(amount):
            waiter = _Waiter(need)
            self._queue.append(waiter)
            try:
                await waiter.turn.wait()
            except BaseException:
                self._leave(waiter)
                raise
            return Lease(self, waiter.amount)
        self.used += amount
        return Lease(self, amount)

    def take_now(self, amount: int, *, alone: bool) -> bool:
        """Take `amount` without waiting; `alone` says that nobody else holds anything."""
        if not alone and self.used + amount > self.limit:
            return False
        self.used += amount
        return True

    def give(self, amount: int) -> None:
        """Give back and wake who fits now, in order."""
        self.used -= amount
        while self._queue:
            waiter = self._queue[0]
            waiter.amount = waiter.need(self.guess())
            if not self._fits(waiter.amount):
                return
            self._queue.popleft()
            self.used += waiter.amount
            waiter.turn.set()

    def _fits(self, amount: int) -> bool:
        return self.used == 0 or self.used + amount <= self.limit

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.turn.is_set():
            self.give(waiter.amount)
        else:
            self._queue.remove(waiter)
            self.give(0)


class _Waiter:
    __slots__ = ("amount", "need", "turn")

    def __init__(self, need: Callable[[int], int]) -> None:
        self.need = need
        self.amount = 0
        self.turn = anyio.Event()
