"""The way of one engine pool through a worker: lines fetched ahead, then as many in flight as the pool allows.

Hands are fixed coroutines that take the next ready request, run it and hand its result to the shard; no task is made for a
request. A slot is always taken before a request starts, and the next shard is open before the last one ends, so one slow
tail never idles the engine.
"""

from __future__ import annotations

import anyio

from pronk.domain.ids import BatchId
from pronk.worker.ports import EnginePort
from pronk.worker.runner import Runner
from pronk.worker.shard import OpenShard, Request
from pronk.worker.waiting import Waiting

LOOK_SECONDS = 0.05
"""How often the pool's limit is looked at for room that has grown."""

LOOKS_AHEAD = 4
"""Lines that wait are enough for so many looks at the pace of late: opening a shard takes two synced transactions' time."""


MAX_OPEN_BYTES = 16 * 1024 * 1024
"""Request lines of open shards beyond which no further project is let in between."""


class Lane:
    """Requests of one pool, from open shards to results."""

    def __init__(self, engine: EnginePort, runner: Runner, *, fetchers: int) -> None:
        self.engine = engine
        self.shards: dict[tuple[BatchId, int, int], OpenShard] = {}
        self._runner = runner
        self._fetchers = fetchers
        self._to_fetch: Waiting[Request] = Waiting()
        self._ready: Waiting[Request] = Waiting()
        self._hands = 0
        self._limit = engine.limit
        self._served = 0
        self._wanted = self._limit + fetchers
        self._is_draining = False
        self._hunger = anyio.Event()

    @property
    def is_hungry(self) -> bool:
        """Whether another shard should be opened, so that neither the fetchers nor the engine run dry."""
        waiting = len(self._to_fetch) + len(self._ready)
        return waiting < self._wanted and not self._is_draining

    @property
    def places(self) -> set[tuple[int, str]]:
        """Whose shards are open: (priority, project)."""
        return {(shard.batch.job.priority, shard.batch.project_id) for shard in self.shards.values()}

    @property
    def has_room_beside(self) -> bool:
        """Whether a shard of somebody else may be opened although there are lines enough."""
        held = sum(shard.cut.byte_count for shard in self.shards.values())
        return held < MAX_OPEN_BYTES and not self._is_draining

    @property
    def in_flight(self) -> int:
        """Requests that run or whose references are being fetched."""
        return sum(len(shard.running) for shard in self.shards.values())

    async def run(self) -> None:
        """Serve until cancelled."""
        async with anyio.create_task_group() as group:
            for _ in range(self._fetchers):
                group.start_soon(self._fetch_ahead)
            while True:
                self._look()
                while self._hands < self._limit and not self._is_draining:
                    self._hands += 1
                    group.start_soon(self._hand)
                await anyio.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        """Learn the pool's limit, and how many lines are gone before another shard can be there."""
        self._limit = self.engine.limit
        pace, self._served = self._served, 0
        faded = int(0.9 * (self._wanted - self._limit - self._fetchers))
        self._wanted = self._limit + self._fetchers + max(LOOKS_AHEAD * pace, faded)

    async def wait_until_hungry(self) -> None:
        """Return when another shard should be opened."""
        while not self.is_hungry:
            self._hunger = anyio.Event()
            await self._hunger.wait()

    def add(self, shard: OpenShard, requests: list[Request]) -> None:
        """Take the lines of an opened shard; those of one that goes first are next, after what is in flight."""
        self.shards[shard.key] = shard
        with_media: list[Request] = []
        ready: list[Request] = []
        for request in requests:
            (with_media if self._runner.names_media(request) else ready).append(request)
        for line, more in ((self._to_fetch, with_media), (self._ready, ready)):
            if shard.goes_first:
                line.push_first(more)
            else:
                for request in more:
                    line.push(request)

    def drop(self, shard: OpenShard) -> None:
        """Let go of a shard; what runs of it is aborted."""
        shard.stop()
        self.shards.pop(shard.key, None)

    def drain(self) -> None:
        """Start nothing new; what is in flight goes on."""
        self._is_draining = True
        for request in [*self._ready.clear(), *self._to_fetch.clear()]:
            request.close()

    async def _hand(self) -> None:
        try:
            while self._hands <= self._limit:
                request = self._ready.pop_now() or await self._ready.pop()
                await self._serve_row(request)
        finally:
            self._hands -= 1

    async def _serve_row(self, request: Request | None) -> None:
        """Serve a request and those next in line as long as they are of its shard: one scope for all of them.

        A scope for each costs a tenth of what a request costs in all. One that is stopped ends the row.
        """
        assert request is not None  # noqa: S101
        shard = request.shard
        if shard.lease is not None and not shard.is_stopped:
            await shard.lease.wait()
        if shard.is_stopped:
            request.close()
            return
        with anyio.CancelScope() as scope, shard.stoppable(scope):
            while request is not None:
                self._served += 1
                if self.is_hungry:
                    self._hunger.set()
                await self._serve(request)
                request = self._next_of(shard)

    def _next_of(self, shard: OpenShard) -> Request | None:
        following = self._ready.peek()
        if following is None or following.shard is not shard or self._hands > self._limit:
            return None
        if shard.is_stopped or not shard.is_held:
            return None
        return self._ready.pop_now()

    async def _fetch_ahead(self) -> None:
        while True:
            await self._prepare_row(self._to_fetch.pop_now() or await self._to_fetch.pop())

    async def _prepare_row(self, request: Request | None) -> None:
        """Prepare a request and those next in line of its shard, in one scope as `_serve_row` does."""
        assert request is not None  # noqa: S101
        shard = request.shard
        if shard.is_stopped:
            request.close()
            return
        with anyio.CancelScope() as scope, shard.stoppable(scope):
            while request is not None:
                await self._runner.prepare(request)
                self._take_prepared(request)
                following = self._to_fetch.peek()
                is_next = following is not None and following.shard is shard and not shard.is_stopped
                request = self._to_fetch.pop_now() if is_next else None
        if request is not None:
            request.close()

    def _take_prepared(self, request: Request) -> None:
        if self._is_draining or request.shard.is_stopped:
            request.close()
        elif request.shard.goes_first:
            self._ready.push_first([request])
        else:
            self._ready.push(request)

    async def _serve(self, request: Request) -> None:
        try:
            request.shard.put(*await self._runner.run(request))
        finally:
            request.close()
