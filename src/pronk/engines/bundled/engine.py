"""Keeps one generating process alive, gives it what fits, and hands its tokens to whoever waits for them."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from pronk.domain.errors import SettingsError
from pronk.engines.bundled.admission import Admission, Room
from pronk.engines.bundled.process import Child, open_child
from pronk.engines.bundled.protocol import Cancel, Delta, Failed, Open, Progress, Ready, ToParent
from pronk.engines.bundled.refusals import internal, unavailable
from pronk.engines.bundled.sequence import MAX_TRIES, Sequence

LONGEST_PAUSE_SECONDS = 10.0
STARTS_UNTIL_UNHEALTHY = 3


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, in seconds, the process may take to load, and may be silent while it has work."""

    start_seconds: float = 300.0
    stall_seconds: float = 120.0


class Engine:
    """Accepts sequences at any time; while the process is restarted they wait."""

    def __init__(self, opening: Open, room: Room, patience: Patience) -> None:
        self._opening = opening
        self._patience = patience
        self._admission = Admission(room)
        self._child: Child | None = None
        self._started = anyio.Event()
        self._failed_starts = 0
        self._heard_at = 0.0
        self._ids = itertools.count()
        self.cache_usage = 0.0
        self.restarts = 0

    @property
    def is_healthy(self) -> bool:
        return self._failed_starts < STARTS_UNTIL_UNHEALTHY

    @property
    def is_ready(self) -> bool:
        return self._child is not None

    @property
    def child_pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    @property
    def running_count(self) -> int:
        return len(self._admission.running)

    @property
    def waiting_count(self) -> int:
        return self._admission.waiting_count

    def next_id(self) -> int:
        return next(self._ids)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The process loaded and supervised; raises `SettingsError` when the model cannot be loaded at first."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._supervise)
            await self._started.wait()
            loaded = self._child is not None
            if loaded:
                yield
            tasks.cancel_scope.cancel()
        if not loaded:
            raise SettingsError("the model could not be loaded; the lines above say why")

    def submit(self, sequence: Sequence) -> None:
        """Queue a sequence; raises `RateLimitError` when too much waits already."""
        self._admission.enqueue(sequence)
        self._admit()

    def release(self, sequence: Sequence) -> None:
        """Nobody waits for it any longer; one that runs keeps its blocks until the process has let go of it."""
        sequence.abandoned = True
        if sequence.is_done:
            return
        if self._child is not None and sequence.id in self._admission.running:
            self._child.post(Cancel(sequence.id))
        else:
            self._admission.leave(sequence)
            self._admit()

    def _admit(self) -> None:
        if self._child is None:
            return
        for sequence in self._admission.admit():
            self._child.post(sequence.submit)

    async def _supervise(self) -> None:
        while True:
            async with open_child(self._opening) as child:
                was_ready = await self._converse(child)
            if not self._started.is_set():
                self._started.set()
                return
            self._failed_starts = 0 if was_ready else self._failed_starts + 1
            self._after_death()
            await anyio.sleep(self._pause())

    def _pause(self) -> float:
        """Seconds before the next start: none after a crash, longer and longer when starting itself fails."""
        return min(LONGEST_PAUSE_SECONDS, 0.5 * 2**self._failed_starts) if self._failed_starts else 0.0

    async def _converse(self, child: Child) -> bool:
        """Until the process is gone; says whether it was ever ready."""
        self._heard_at = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child.write)
            tasks.start_soon(self._watch, child)
            async for message in child.receive():
                self._heard_at = anyio.current_time()
                self._take(child, message)
            tasks.cancel_scope.cancel()
        was_ready, self._child = self._child is not None, None
        return was_ready

    async def _watch(self, child: Child) -> None:
        """Kill a process that is frozen."""
        while True:
            limit = self._patience.start_seconds if self._child is None else self._patience.stall_seconds
            idle = self._child is not None and not self._admission.running
            if idle:
                self._heard_at = anyio.current_time()
            left = self._heard_at + limit - anyio.current_time()
            if left <= 0:
                child.kill()
                return
            await anyio.sleep(min(left, 1.0))

    def _take(self, child: Child, message: ToParent) -> None:
        if isinstance(message, Ready):
            self._child = child
            self._started.set()
            self._admit()
        elif isinstance(message, Progress):
            self.cache_usage = message.cache_usage
            for delta in message.deltas:
                self._deliver(delta)
            self._admit()
        elif isinstance(message, Failed):
            child.kill()

    def _deliver(self, delta: Delta) -> None:
        sequence = self._admission.running.get(delta.id)
        if sequence is None:
            return
        if delta.finish == "evicted":
            self._again(sequence)
            return
        if delta.finish is not None:
            self._admission.leave(sequence)
        if delta.finish == "error":
            sequence.fail(internal())
        else:
            sequence.extend(delta)

    def _again(self, sequence: Sequence) -> None:
        """Once more from the start; the second time it is over."""
        sequence.tries += 1
        if sequence.abandoned:
            self._admission.leave(sequence)
            return
        if sequence.tries < MAX_TRIES:
            sequence.restart()
            self._admission.requeue(sequence)
            return
        self._admission.leave(sequence)
        sequence.fail(unavailable("the engine was interrupted twice during this request; try again"))

    def _after_death(self) -> None:
        self.restarts += 1
        self.cache_usage = 0.0
        for sequence in sorted(self._admission.running.values(), key=lambda one: one.id, reverse=True):
            self._again(sequence)
