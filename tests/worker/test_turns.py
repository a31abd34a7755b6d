"""A slow engine and a long line of work: a project whose turn it is does not wait behind lines that were claimed before."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import pytest
from tests.fakes.engine import Behaviour, FakeEngine
from tests.worker.world import World, open_world, request_file, request_line

from pronk.domain.ids import BatchId, ProjectId
from pronk.worker.lane import Lane

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("both_databases")]

ELSEWHERE = ProjectId("proj_elsewhere")
SEATS = 4


async def release_until(world: World, count: int) -> list[str]:
    """Let the engine answer until it was asked so often in all; return what it was asked."""
    for asked in range(SEATS, count, SEATS):
        world.engine.release()
        await world.engine.until(partial(has_asked, count=min(count, asked + SEATS)))
    return world.sent()[:count]


def has_asked(engine: FakeEngine, *, count: int) -> bool:
    return len(engine.requests) >= count


async def until_ready(lane: Lane, batch_id: BatchId, lines: int) -> None:
    while sum(request.shard.batch.id == batch_id for request in lane._ready._items) < lines:  # noqa: ASYNC110
        await anyio.sleep(0.005)


@pytest.mark.parametrize("reference", ["", "s3://good/"])
async def test_ten_lines_go_before_those_of_large_batches_that_wait(tmp_path: Path, reference: str) -> None:
    async with open_world(tmp_path, in_flight=SEATS) as world, anyio.create_task_group() as group:
        world.engine.models["m"] = Behaviour(hold=True)
        await world.store._database.write(
            lambda tx: tx.run("ensure_project", id=ELSEWHERE, name="elsewhere", now=1)
        )
        worker, draining = world.worker(), anyio.Event()
        group.start_soon(worker.run, draining)
        for _ in range(3):
            large = await world.add_batch(request_file(1000))
            await world.until(large, lambda batch: batch.status == "in_progress")
        await world.engine.until(lambda engine: engine.in_flight == SEATS)
        data = b"".join(request_line(number, text=f"{reference}small-{number}") for number in range(10))
        small = await world.add_batch(data, project=ELSEWHERE)
        await until_ready(worker._lanes["default"], small, 10)
        asked = await release_until(world, SEATS + 10)
        assert len([text for text in asked[SEATS:] if "small" in text]) == 10
        world.engine.models["m"] = Behaviour()
        world.engine.release()
        await world.until_ended(small)
        group.cancel_scope.cancel()
