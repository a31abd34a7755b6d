"""What lines on their way hold is what the budget says: nothing of them lives on once they are done."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import anyio
import pytest
from tests.media.attack import bounded_memory
from tests.media.pictures import padded_png
from tests.media.world import World, open_world

from pronk.media.resolve import Bounds

pytestmark = pytest.mark.anyio

PICTURES = 30
MEGABYTES = 3


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Let only those things go that nobody refers to: a worker collects cycles seldom."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def _resolve_and_hold(world: World, reference: str) -> None:
    resolved = await world.ask(reference)
    await anyio.sleep(0.02)
    resolved.close()


@pytest.mark.usefixtures("no_collection")
async def test_lines_that_had_to_queue_again_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """They ask for more than is free as soon as a size is known, give up what they have, and come again."""
    bounds = Bounds(in_flight_bytes=16 << 20, memory_bytes=0, disk_bytes=0)
    async with open_world(monkeypatch, bounds=bounds) as world:
        for number in range(PICTURES):
            world.aws.buckets["parts"].put(f"{number}.png", padded_png(MEGABYTES << 20, number))
        with bounded_memory(48):
            async with anyio.create_task_group() as group:
                for number in range(PICTURES):
                    group.start_soon(_resolve_and_hold, world, f"s3://parts/{number}.png")
        assert world.aws.count("GetObject") > PICTURES
