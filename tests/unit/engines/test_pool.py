"""Pools: who gets a request, who is left out, and how they come back. Time stands still unless a test moves it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest
from tests.fakes.engine import Behaviour, FakeEngine, fake_engine

from pronk.domain.engine import EngineSpec
from pronk.domain.errors import EngineError
from pronk.engines.gauges import Gauges, read_gauges
from pronk.engines.pool import Pace, Pool, open_pool
from pronk.engines.replica import work_of

pytestmark = pytest.mark.anyio
PATH = "/v1/completions"
BODY = b'{"model":"m","prompt":"hello"}'
QUICK = Pace(probe=0.0, probe_out=0.0, tick=0.0, look=0.0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def pool_of(
    count: int, *, limit: int | None = 8
) -> AsyncIterator[tuple[Pool, list[FakeEngine], Clock]]:
    """Give a pool of so many fake engines; engine i is the replica ``p-i``. `Pool.run` is not started."""
    clock = Clock()
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(fake_engine()) for _ in range(count)]
        spec = EngineSpec(
            name="p",
            urls=tuple(engine.url for engine in engines),
            max_in_flight=limit * count if limit else "auto",
        )
        opened = open_pool(spec, api_key=None, clock=clock, chance=random.Random(4), pace=QUICK)
        yield await stack.enter_async_context(opened), engines, clock


async def fail_until_out(pool: Pool) -> None:
    while not pool.is_out:
        with pytest.raises(EngineError):
            await pool.complete(PATH, BODY)


async def test_requests_go_where_the_least_of_the_limit_is_used() -> None:
    async with pool_of(2) as (pool, engines, _), anyio.create_task_group() as group:
        next(r for r in pool.replicas if r.name == "p-0").limiter.limit = 24
        hold = b'{"model":"hold","prompt":"x"}'
        for number in range(16):
            group.start_soon(pool.complete, PATH, hold)
            await anyio.wait_all_tasks_blocked()
            assert pool.in_flight == number + 1
        await engines[0].until(lambda e: e.in_flight == 12)
        await engines[1].until(lambda e: e.in_flight == 4)
        assert pool.limit == 32
        group.cancel_scope.cancel()


async def test_avoided_replicas_get_nothing_while_there_are_others() -> None:
    async with pool_of(2) as (pool, engines, _):
        answers = [await pool.complete(PATH, BODY, avoid={"p-0"}) for _ in range(4)]
        assert {answer.replica for answer in answers} == {"p-1"}
        assert engines[0].request_count == 0
        assert (await pool.complete(PATH, BODY, avoid=["p-0", "p-1"])).status == 200


async def test_one_call_is_one_try_and_failures_in_a_row_eject() -> None:
    async with pool_of(2) as (pool, engines, _):
        engines[0].models["m"] = Behaviour(cut="before")
        outcomes: Counter[str] = Counter()
        for _ in range(20):
            try:
                outcomes[(await pool.complete(PATH, BODY)).replica] += 1
            except EngineError as error:
                outcomes[error.code] += 1
        assert engines[0].request_count + engines[1].request_count == 20
        assert outcomes["engine_unavailable"] == engines[0].request_count <= 3
        assert pool.limit >= 8


async def test_a_gateway_that_answers_for_a_dead_engine_is_ejected() -> None:
    async with pool_of(1) as (pool, engines, _):
        engines[0].models["m"] = Behaviour(status=502)
        assert [(await pool.complete(PATH, BODY)).status for _ in range(3)] == [502] * 3
        assert pool.is_out
        with pytest.raises(EngineError, match="no replica"):
            await pool.complete(PATH, BODY)


async def test_other_errors_eject_nobody() -> None:
    async with pool_of(1) as (pool, engines, _):
        for status in (400, 404, 429, 500):
            engines[0].models["m"] = Behaviour(status=status)
            assert [(await pool.complete(PATH, BODY)).status for _ in range(5)] == [status] * 5
        assert not pool.is_out


async def test_an_outage_ends_by_itself_and_everybody_is_told() -> None:
    async with pool_of(1) as (pool, engines, clock), anyio.create_task_group() as group:
        told: list[tuple[int, bool]] = []
        pool.on_change(lambda: told.append((pool.limit, pool.is_out)))
        await engines[0].go_down()
        await fail_until_out(pool)
        assert (pool.limit, told[-1]) == (0, (0, True))
        group.start_soon(pool.run)
        await engines[0].come_back()
        await pool.wait_until_up()
        assert told[-1] == (1, False)
        assert (await pool.complete(PATH, BODY)).status == 200
        clock.now += 5
        assert pool.limit == 4
        clock.now += 5
        assert pool.limit == 8
        group.cancel_scope.cancel()


async def test_a_replica_whose_health_fails_is_left_out_until_it_is_well() -> None:
    async with pool_of(2) as (pool, engines, _), anyio.create_task_group() as group:
        engines[0].health_status = 503
        group.start_soon(pool.run)
        while pool.limit != 8:
            await anyio.lowlevel.checkpoint()
        assert {(await pool.complete(PATH, BODY)).replica for _ in range(5)} == {"p-1"}
        engines[0].health_status = 200
        while sum(replica.is_up for replica in pool.replicas) < 2:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()


async def test_a_server_without_a_health_route_is_asked_for_its_models() -> None:
    async with pool_of(1) as (pool, engines, _):
        engines[0].health_status = 404
        await pool.replicas[0].probe()
        await pool.replicas[0].probe()
        assert engines[0].probes == ["/health", "/v1/models", "/v1/models"]
        assert not pool.is_out


async def test_an_engine_that_answers_is_not_asked_for_its_health() -> None:
    async with pool_of(1) as (pool, engines, _):
        await pool.complete(PATH, BODY)
        engines[0].health_status = 503
        await pool.replicas[0].probe()
        assert not pool.is_out
        await pool.replicas[0].probe()
        assert pool.is_out


async def test_a_cancelled_request_is_not_a_failure_of_the_engine() -> None:
    async with pool_of(1) as (pool, engines, _):
        for _ in range(5):
            async with anyio.create_task_group() as group:
                group.start_soon(pool.complete, PATH, b'{"model":"hold","prompt":"x"}')
                await engines[0].until(lambda e: e.in_flight == 1)
                group.cancel_scope.cancel()
            await engines[0].until(lambda e: e.in_flight == 0)
        assert (pool.is_out, pool.in_flight) == (False, 0)


async def test_a_stream_counts_as_in_flight() -> None:
    async with pool_of(1) as (pool, _, _):
        async with pool.stream(PATH, b'{"model":"hold","stream":true,"prompt":"a b"}') as stream:
            assert (stream.status, pool.in_flight) == (200, 1)
        assert pool.in_flight == 0


VLLM = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 5.0
vllm:num_requests_running{engine="1",model_name="m"} 7.0
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.5
vllm:num_preemptions_total{engine="0",model_name="m"} 2.0
"""


def test_metrics_of_known_engines_are_understood() -> None:
    assert read_gauges(VLLM) == Gauges(12.0, 3.0, 2.0, 0.5)
    assert read_gauges(
        "sglang:num_running_reqs 2\nsglang:num_queue_reqs 1\nsglang:token_usage 0.1\n"
    ) == Gauges(2.0, 1.0, 0.0, 0.1)
    assert read_gauges("llamacpp:requests_processing 4\nllamacpp:requests_deferred 9\n") == Gauges(4.0, 9.0)
    assert read_gauges("process_cpu_seconds_total 3.5\n") is None


async def test_the_limiter_is_shown_the_metrics_and_nobody_is_asked_in_vain() -> None:
    async with pool_of(1, limit=None) as (pool, engines, _):
        replica = pool.replicas[0]
        for _ in range(5):
            await replica.look()
        assert engines[0].probes == ["/metrics"]
        engines[0].metrics = VLLM
        for _ in range(100):
            await replica.look()
        assert 30 < engines[0].probes.count("/metrics") < 60


@pytest.mark.parametrize(
    ("body", "work"),
    [
        (b'{"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}', 7.0),
        (b'{"usage":{"input_tokens":5,"output_tokens": 9}}', 9.0),
        (b'{"usage":{"completion_tokens":3},"pad":"' + b"x" * 5000 + b'"}', 3.0),
        (b'{"data":[],"usage":{"prompt_tokens":5}}', 1.0),
        (b"<html>", 1.0),
    ],
)
def test_the_work_of_an_answer_is_its_output_tokens(body: bytes, work: float) -> None:
    assert work_of(body) == work
