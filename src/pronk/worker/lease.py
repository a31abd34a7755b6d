"""Until when a worker may count on what it holds: who slept through its lease sends nothing before it is renewed."""

from __future__ import annotations

from collections.abc import Callable

import anyio


class Lease:
    """The time that all claims of a worker have together. `now` is the clock that judges leases, in Unix seconds.

    A process that was stopped, or cut off from its database, may have lost its claims without knowing it; what it sent then
    would be paid for twice.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._until = float("-inf")
        self._renewed = anyio.Event()

    @property
    def holds(self) -> bool:
        """Whether nobody else can have taken over yet."""
        return self._now() < self._until

    def renew(self, until: float) -> None:
        """Count on everything until then; what is lost by now has been stopped."""
        self._until = until
        self._renewed.set()
        self._renewed = anyio.Event()

    async def wait(self) -> None:
        """Return when it holds."""
        while not self.holds:
            await self._renewed.wait()
