"""A pool of engine replicas: who gets the next request, how many may be in flight, whether anybody is there."""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial

import anyio
import msgspec

from pronk.domain.bodies import Body
from pronk.domain.engine import EngineSpec
from pronk.domain.errors import EngineError
from pronk.engines.client import Answer, Client, Limits, Stream
from pronk.engines.limiter import Limiter
from pronk.engines.measured import show_pool
from pronk.engines.offered import Offered
from pronk.engines.replica import Replica
from pronk.engines.reserve import nothing, reserve_of
from pronk.telemetry import shown


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often the pool looks at its replicas, in seconds: health when up, health when out, limits, metrics."""

    probe: float = 5.0
    probe_out: float = 1.0
    tick: float = 0.1
    look: float = 1.0


class Pool:
    """Replicas that serve the same model. `run` belongs in the caller's task group; without it nothing heals."""

    def __init__(
        self,
        name: str,
        replicas: Sequence[Replica],
        *,
        clock: Callable[[], float],
        pace: Pace | None = None,
    ) -> None:
        self.name = name
        self.replicas = tuple(replicas)
        self._clock = clock
        self._offered = Offered(self.replicas, clock)
        self._pace = pace or Pace()
        self._listeners: list[Callable[[], None]] = []
        self._up_again = anyio.Event()
        self._said = (0, False)

    @property
    def limit(self) -> int:
        """How many requests may be in flight now over all replicas that are up; 0 while none is."""
        return sum(replica.limit for replica in self.replicas if replica.is_up)

    @property
    def in_flight(self) -> int:
        """How many requests are out."""
        return sum(replica.in_flight for replica in self.replicas)

    @property
    def is_out(self) -> bool:
        """Whether no replica is up: pause, and `wait_until_up`."""
        return not any(replica.is_up for replica in self.replicas)

    async def models(self) -> tuple[str, ...]:
        """Return the names of models that the replicas serve, as they said lately; never raises, answers in seconds."""
        return await self._offered.models()

    async def wait_until_up(self) -> None:
        """Return when some replica is up."""
        while self.is_out:
            await self._up_again.wait()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever `limit` or `is_out` may have changed."""
        self._listeners.append(callback)

    async def complete(self, path: str, body: Body, *, avoid: Collection[str] = ()) -> Answer:
        """Return the answer of one replica to `body` at a path such as ``/v1/chat/completions``.

        `avoid` holds the names of replicas (`Answer.replica`) that did not do for this request before. One call is one try.
        Raises `EngineError` (``engine_unavailable``, ``engine_timeout``). Cancelling aborts the request at the
        engine.
        """
        replica = self._choose(avoid)
        try:
            return await replica.complete(path, body)
        except EngineError:
            self._tell()
            raise

    @asynccontextmanager
    async def stream(self, path: str, body: Body) -> AsyncIterator[Stream]:
        """Give the answer of one replica while it comes; leaving the block early aborts it. Raises as `complete`."""
        async with self._choose(()).stream(path, body) as stream:
            yield stream

    def _choose(self, avoid: Collection[str]) -> Replica:
        if len(self.replicas) == 1 and self.replicas[0].is_up:
            return self.replicas[0]
        up = [replica for replica in self.replicas if replica.is_up]
        if not up:
            raise EngineError("engine_unavailable", "no replica of the engine is up")
        fresh = [replica for replica in up if replica.name not in avoid] if avoid else up
        candidates = fresh or up
        return min(candidates, key=_load)

    async def run(self) -> None:
        """Watch health and limits until cancelled."""
        async with anyio.create_task_group() as tasks:
            for replica in self.replicas:
                tasks.start_soon(self._watch, replica)
                tasks.start_soon(self._look, replica)
            while True:
                await anyio.sleep(self._pace.tick)
                now = self._clock()
                for replica in self.replicas:
                    replica.limiter.tick(now)
                self._tell()

    async def _watch(self, replica: Replica) -> None:
        while True:
            await replica.probe()
            self._tell()
            await anyio.sleep(self._pace.probe if replica.is_up else self._pace.probe_out)

    async def _look(self, replica: Replica) -> None:
        while not replica.limiter.is_fixed:
            await replica.look()
            await anyio.sleep(self._pace.look)

    def _tell(self) -> None:
        state = (self.limit, self.is_out)
        if state == self._said:
            return
        self._said = state
        if not self.is_out:
            self._up_again.set()
            self._up_again = anyio.Event()
        for callback in self._listeners:
            callback()


def _load(replica: Replica) -> float:
    return replica.load


@asynccontextmanager
async def open_pool(
    spec: EngineSpec,
    *,
    api_key: str | None,
    clock: Callable[[], float],
    chance: random.Random,
    tls: ssl.SSLContext | None = None,
    pace: Pace | None = None,
    workers: int = 1,
    leaves_reserve: bool = False,
) -> AsyncIterator[Pool]:
    """Give the pool of `spec.urls`. Start its `run` in a task group; the connections close with the block.

    `workers` processes share these engines; each has its part of a fixed limit, and knows of the others when it looks
    for the limit itself. With `leaves_reserve` it keeps off what the spec reserves for requests that are answered at once.
    """
    limits = Limits(request_timeout=spec.request_timeout)
    parts = workers * max(1, len(spec.urls))
    reserve = reserve_of(spec, parts) if leaves_reserve else nothing
    share = None
    if spec.max_in_flight != "auto":
        kept = reserve_of(spec)(spec.max_in_flight) if leaves_reserve else 0
        share = max(1, (spec.max_in_flight - kept) // parts)
    names = [f"{spec.name}-{number}" for number in range(len(spec.urls))]
    replicas = [
        Replica(
            Client(url, name=name, api_key=api_key, limits=limits, tls=tls),
            Limiter(share, workers=workers, reserve=reserve, chance=chance),
            clock,
        )
        for name, url in zip(names, spec.urls, strict=True)
    ]
    chance.shuffle(replicas)
    pool = Pool(spec.name, replicas, clock=clock, pace=pace)
    try:
        with shown(partial(show_pool, pool)):
            yield pool
    finally:
        for replica in replicas:
            replica.client.close()
