"""What batches leave free of an engine, and turns for those who use it."""

from __future__ import annotations

import heapq
import random
import time

import anyio
import msgspec
import pytest
from bench.simulator.drive import Load, Run, Scene
from bench.simulator.model import EngineModel
from tests.fakes.engine import FakeEngine, fake_engine

from pronk.domain.engine import EngineSpec
from pronk.engines.limiter import Limiter
from pronk.engines.pool import Pool, open_pool
from pronk.engines.reserve import a_twentieth, reserve_of
from pronk.engines.turns import Turns, in_turn

PATH = "/v1/completions"
BODY = b'{"model":"m","prompt":"hello"}'
HOLD = b'{"model":"hold","prompt":"hello"}'


@pytest.mark.parametrize(
    ("slots", "wish", "parts", "free"),
    [
        (1, "auto", 1, 0),
        (7, "auto", 1, 0),
        (8, "auto", 1, 1),
        (20, "auto", 1, 1),
        (64, "auto", 1, 3),
        (256, "auto", 1, 13),
        (64, 0, 1, 0),
        (64, 6, 1, 6),
        (16, 6, 4, 2),
        (2, 1, 1, 1),
        (2, 9, 1, 1),
        (1, 1, 1, 0),
        (0, 1, 1, 0),
    ],
)
def test_what_stays_free(slots: int, wish: int, parts: int, free: int) -> None:
    assert reserve_of(EngineSpec(reserve_for_now=wish), parts)(slots) == free


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("most", "wish", "replicas", "workers", "each"),
    [
        (32, "auto", 1, 1, 30),
        (32, 0, 1, 1, 32),
        (32, "auto", 2, 3, 5),
        (8, 3, 1, 1, 5),
        (4, "auto", 1, 1, 4),
        (1, 1, 1, 1, 1),
    ],
)
async def test_workers_share_what_is_not_reserved(
    most: int, wish: int, replicas: int, workers: int, each: int
) -> None:
    urls = tuple(f"http://127.0.0.1:{9 + number}/v1" for number in range(replicas))
    spec = EngineSpec(urls=urls, max_in_flight=most, reserve_for_now=wish)
    opened = open_pool(
        spec,
        api_key=None,
        clock=time.monotonic,
        chance=random.Random(1),
        workers=workers,
        leaves_reserve=True,
    )
    async with opened as pool:
        assert pool.limit == each * replicas
    async with open_pool(spec, api_key=None, clock=time.monotonic, chance=random.Random(1)) as whole:
        assert whole.limit == most


def free_seats(limiter: Limiter, engine: EngineModel) -> tuple[float, float]:
    """Return the share of time in which a request would find a seat at once, and tokens a second."""
    scene = Scene(
        name="",
        engines=(engine,),
        load=Load(prompt=500, output=100),
        seconds=400.0,
        warm=60.0,
        has_metrics=True,
    )
    looks: list[bool] = []

    def look(run: Run) -> None:
        (state,) = run.engines
        looks.append(len(state.running) + len(state.waiting) < engine.seats)

    every_second = tuple((at + 0.55, look) for at in range(60, 400))
    run = Run(msgspec.structs.replace(scene, events=every_second), [[limiter]]).go()
    return sum(looks) / len(looks), run.work / 340


def test_a_limit_that_was_found_leaves_seats_free() -> None:
    engine = EngineModel(seats=128)
    full, most = free_seats(Limiter(), engine)
    kept, work = free_seats(Limiter(reserve=a_twentieth), engine)
    assert full < 0.2
    assert kept > 0.8
    assert work > 0.95 * most


class NoQueue:
    """An engine in virtual time that works on so many requests and answers 429 to more, under a limiter's load."""

    def __init__(self, limiter: Limiter, slots: int) -> None:
        self.limiter = limiter
        self.slots = slots
        self.answers = self.refusals = self.looks = self.free = 0

    def run(self, seconds: float, *, warm: float) -> None:
        chance = random.Random(5)
        ends: list[tuple[float, int, object]] = []
        for tenth in range(int(10 * seconds)):
            now = tenth / 10
            while ends and ends[0][0] <= now:
                at, _, mark = heapq.heappop(ends)
                self.limiter.finished(at, mark, 10.0)  # type: ignore[arg-type]
                self.answers += at >= warm
            self.limiter.tick(now)
            for number in range(self.limiter.limit - self.limiter.flying):
                mark = self.limiter.started(now)
                if len(ends) < self.slots:
                    heapq.heappush(ends, (now + chance.uniform(0.8, 1.2), tenth * 1000 + number, mark))
                else:
                    self.limiter.gone(now)
                    self.limiter.refused(now)
                    self.refusals += now >= warm
            if now >= warm:
                self.looks += 1
                self.free += len(ends) < self.slots


@pytest.mark.parametrize("slots", [12, 40, 300])
def test_an_engine_without_a_queue_has_slots_free_and_refuses_little(slots: int) -> None:
    engine = NoQueue(Limiter(reserve=a_twentieth), slots)
    engine.run(400.0, warm=60.0)
    assert engine.free > 0.9 * engine.looks
    assert engine.refusals < 0.02 * engine.answers
    assert engine.answers > 0.7 * slots * 340


def spec_of(engine: FakeEngine, most: int) -> EngineSpec:
    return EngineSpec(urls=(engine.url,), max_in_flight=most)


@pytest.mark.anyio
async def test_the_whole_limit_is_used_and_more_wait_their_turn() -> None:
    async with fake_engine() as engine, anyio.create_task_group() as group:
        engine.slots = 3
        spec = spec_of(engine, 3)
        async with open_pool(spec, api_key=None, clock=time.monotonic, chance=random.Random(1)) as pool:
            turns = in_turn(pool, spec)
            assert isinstance(turns, Turns)
            statuses: list[int] = []

            async def ask() -> None:
                statuses.append((await turns.complete(PATH, HOLD)).status)

            for _ in range(5):
                group.start_soon(ask)
            await engine.until(lambda e: e.in_flight == 3)
            await anyio.wait_all_tasks_blocked()
            assert engine.request_count == 3
            engine.release()
            await engine.until(lambda e: e.request_count == 5)
            async with turns.stream(PATH, BODY) as stream:
                assert stream.status == 200
            engine.release()
            while len(statuses) < 5:
                await anyio.lowlevel.checkpoint()
            assert set(statuses) == {200}
            assert engine.refused == 0


@pytest.mark.anyio
async def test_a_limit_that_is_to_be_found_is_the_engines_own_queue() -> None:
    async with fake_engine() as engine:
        spec = EngineSpec(urls=(engine.url,))
        async with open_pool(spec, api_key=None, clock=time.monotonic, chance=random.Random(1)) as pool:
            assert isinstance(in_turn(pool, spec), Pool)
