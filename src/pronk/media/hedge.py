"""A second try for a fetch that takes unusually long; whichever answers first counts and the other is ended.

Nothing is started and no timer set for fetches that answer as usual: one task looks at those in the air now and then. Nor has
each a cancel scope of its own, which would cost as much as all the rest of the way to a store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from pronk.domain.errors import PronkError

V = TypeVar("V")

_LOOK_EVERY = 0.1
_SOONEST = 0.5
_SHARE = 0.05
_MOST_SAVED = 10.0


class _Fetch(Generic[V]):
    __slots__ = ("answers", "has_second", "once", "second", "started", "task")

    def __init__(
        self, once: Callable[[], Awaitable[V]], started: float, task: asyncio.Task[Any] | None
    ) -> None:
        self.once = once
        self.started = started
        self.task = task
        self.second: anyio.CancelScope | None = None
        self.answers: list[V] = []
        self.has_second = False

    def answer(self, value: V) -> None:
        """Take the second try's answer and wake the task that waits for the first."""
        self.answers.append(value)
        assert self.task is not None  # noqa: S101  # it is in the air
        self.task.cancel()


class Hedge(Generic[V]):
    """Watches fetches while `run` runs; at most one in twenty gets a second try.

    `now` gives seconds that never go back. What is unusual is learned as in TCP: mean and four mean deviations.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._air: set[_Fetch[V]] = set()
        self._mean: float | None = None
        self._deviation = 0.0
        self._saved = _MOST_SAVED
        self.second_tries = 0

    async def fetch(self, once: Callable[[], Awaitable[V]]) -> V:
        """Return what `once` returns, or what a second call of it returned sooner."""
        task = asyncio.current_task()
        fetch = _Fetch(once, self._now(), task)
        self._air.add(fetch)
        try:
            answer = await once()
        except asyncio.CancelledError:
            # As asyncio.timeout does it: what is left when ours is taken back is somebody else's wish, and goes first.
            if not fetch.answers or task is None or task.uncancel() > 0:
                raise
            answer = fetch.answers[0]
        finally:
            self._air.discard(fetch)
            if fetch.second is not None:
                fetch.second.cancel()
        self._learn(self._now() - fetch.started)
        return answer

    async def run(self) -> None:
        """Look after fetches until cancelled."""
        async with anyio.create_task_group() as group:
            while True:
                await anyio.sleep(_LOOK_EVERY)
                self.look(group)

    def look(self, group: TaskGroup) -> None:
        """Start second tries for those that take unusually long."""
        late = self._now() - self.patience()
        for fetch in self._air:
            if fetch.started < late and not fetch.has_second and self._saved >= 1.0:
                self._saved -= 1.0
                self.second_tries += 1
                fetch.has_second = True
                group.start_soon(self._second, fetch)

    def patience(self) -> float:
        """Return after how many seconds a fetch is late; for ever while nothing is known."""
        if self._mean is None:
            return float("inf")
        return max(_SOONEST, self._mean + 4 * self._deviation)

    async def _second(self, fetch: _Fetch[V]) -> None:
        """A failure is nobody's: the first try goes on."""
        with anyio.CancelScope() as fetch.second:
            try:
                answer = await fetch.once()
            except PronkError:
                return
            if fetch in self._air:
                fetch.answer(answer)

    def _learn(self, seconds: float) -> None:
        self._saved = min(_MOST_SAVED, self._saved + _SHARE)
        if self._mean is None:
            self._mean, self._deviation = seconds, seconds / 2
            return
        self._deviation += (abs(seconds - self._mean) - self._deviation) / 16
        self._mean += (seconds - self._mean) / 32
