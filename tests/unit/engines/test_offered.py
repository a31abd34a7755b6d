"""What a pool says of the models that its replicas serve."""

from __future__ import annotations

import random

import anyio
import pytest
from tests.fakes.engine import Behaviour, fake_engine

from pronk.domain.engine import EngineSpec
from pronk.engines.offered import FRESH_SECONDS
from pronk.engines.pool import open_pool

pytestmark = pytest.mark.anyio


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_they_are_asked_for_once_a_minute_and_remembered() -> None:
    clock = Clock()
    async with fake_engine() as engine:
        spec = EngineSpec(urls=(engine.url,))
        async with open_pool(spec, api_key=None, clock=clock, chance=random.Random(1)) as pool:
            engine.models["first"] = Behaviour()
            found: list[tuple[str, ...]] = []

            async def ask() -> None:
                found.append(await pool.models())

            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(ask)
            assert set(found) == {("first",)}
            assert engine.probes == ["/v1/models"]
            engine.models["second"] = Behaviour()
            clock.now += FRESH_SECONDS
            assert await pool.models() == ("first", "second")
            await engine.go_down()
            clock.now += FRESH_SECONDS
            assert await pool.models() == ("first", "second")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"data":[{"id":7}]}', b'{"data":null}', b"\xff", b"[" * 99_999]
)
async def test_an_answer_that_makes_no_sense_names_nothing(body: bytes) -> None:
    async with fake_engine() as engine:
        engine.model_list = body
        spec = EngineSpec(urls=(engine.url,))
        async with open_pool(spec, api_key=None, clock=Clock(), chance=random.Random(1)) as pool:
            assert await pool.models() == ()
