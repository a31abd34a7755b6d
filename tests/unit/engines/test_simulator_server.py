"""The modelled engine as a server, and the pool's limiter on it over real sockets."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import msgspec
import pytest

from pronk.domain.engine import EngineSpec
from pronk.engines.client import Client
from pronk.engines.gauges import read_gauges
from pronk.engines.pool import open_pool

pytestmark = pytest.mark.anyio
PATH = "/v1/chat/completions"


@contextmanager
def simulator(*arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "bench.simulator.server", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[1]
        finally:
            process.kill()


async def test_it_answers_counts_tokens_and_shows_itself() -> None:
    with simulator("--engine", '{"seats":2}', "--speed", "100") as url:
        client = Client(url)
        body = b'{"model":"m","max_tokens":7,"messages":[]}'
        answer = await client.post(PATH, body)
        usage = msgspec.json.decode(answer.body)["usage"]
        assert usage == {
            "prompt_tokens": len(body) // 4,
            "completion_tokens": 7,
            "total_tokens": len(body) // 4 + 7,
        }
        gauges = read_gauges((await client.get("/metrics", within=5)).body.decode())
        assert gauges is not None
        assert (gauges.running, gauges.waiting) == (0, 0)


async def until_running(client: Client, count: int) -> None:
    while True:
        gauges = read_gauges((await client.get("/metrics", within=5)).body.decode())
        if gauges is not None and gauges.running + gauges.waiting == count:
            return


async def test_it_refuses_when_told_to_and_forgets_who_left() -> None:
    with simulator("--engine", '{"seats":1}', "--refuse-above", "1", "--speed", "0.1") as url:
        client = Client(url)
        async with anyio.create_task_group() as group:
            group.start_soon(client.post, PATH, b"{}")
            await until_running(client, 1)
            assert (await client.post(PATH, b"{}")).status == 429
            group.cancel_scope.cancel()
        await until_running(client, 0)


@pytest.mark.scale
async def test_the_limiter_finds_the_seats_over_real_sockets() -> None:
    with simulator(
        "--engine", '{"seats":64,"step":0.004}', "--output", "20", "--blind", "--speed", "4"
    ) as url:
        opened = open_pool(
            EngineSpec(urls=(url,)), api_key=None, clock=time.monotonic, chance=random.Random(1)
        )
        async with opened as pool, anyio.create_task_group() as group:
            left = iter(range(4000))
            is_over = anyio.Event()

            async def hand() -> None:
                for _ in left:
                    await pool.complete(PATH, b'{"model":"m"}')
                    if pool.in_flight >= pool.limit:
                        return
                is_over.set()

            def fill() -> None:
                for _ in range(pool.limit - pool.in_flight):
                    group.start_soon(hand)

            pool.on_change(fill)
            group.start_soon(pool.run)
            fill()
            await is_over.wait()
            assert 40 <= pool.limit <= 200
            group.cancel_scope.cancel()
