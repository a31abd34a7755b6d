"""How many fetches may run against one bucket or host at a time: more while it answers, half when it asks for less."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from pronk.media.fetched import TransientError

V = TypeVar("V")

_START = 64.0
_LEAST = 2.0
_MOST = 256.0
_CALM_SECONDS = 1.0
_MAX_LANES = 1024


class Lane:
    """One bucket or host. Who waits goes in order."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.limit = _START
        self.running = 0
        self._is_new = True
        self._clock = clock
        self._calm_at = 0.0
        self._queue: deque[anyio.Event] = deque()

    def enter_now(self) -> bool:
        """Take a place if there is one and nobody waits."""
        if self.running >= self.limit or self._queue:
            return False
        self.running += 1
        return True

    async def enter(self) -> None:
        """Wait for a place."""
        if self.enter_now():
            return
        turn = anyio.Event()
        self._queue.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.leave()
            else:
                self._queue.remove(turn)
            raise

    def leave(self) -> None:
        """Give the place back."""
        self.running -= 1
        while self._queue and self.running < self.limit:
            self.running += 1
            self._queue.popleft().set()

    def went_well(self) -> None:
        """Open more where the limit was felt: twice as much a round until the first refusal, one more a round after it."""
        if self.running + 1 >= self.limit:
            self.limit = min(_MOST, self.limit + (1.0 if self._is_new else 1.0 / self.limit))

    def was_too_much(self) -> None:
        """Halve, at most once a second: one burst of refusals is one message."""
        now = self._clock()
        self._is_new = False
        if now >= self._calm_at:
            self.limit = max(_LEAST, self.limit / 2)
            self._calm_at = now + _CALM_SECONDS


class Lanes:
    """The lanes in use; the ones not used for longest are forgotten."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lanes: OrderedDict[str, Lane] = OrderedDict()

    def get(self, name: str) -> Lane:
        """Return the lane of a bucket or host."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(self._clock)
            self._forget_idle()
        return lane

    async def run(self, name: str, once: Callable[[], Awaitable[V]]) -> V:
        """Return what `once` returns, holding a place meanwhile, and learn from how it ends."""
        lane = self.get(name)
        if not lane.enter_now():
            await lane.enter()
        try:
            answer = await once()
        except TransientError as error:
            if error.slow_down:
                lane.was_too_much()
            raise
        else:
            lane.went_well()
        finally:
            lane.leave()
        return answer

    def _forget_idle(self) -> None:
        while len(self._lanes) > _MAX_LANES:
            name, lane = self._lanes.popitem(last=False)
            if lane.running:
                self._lanes[name] = lane
                return
