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


async def _resolve_and_hold(world: World, references: list[str]) -> None:
    resolved = await world.ask(*references)
    await anyio.sleep(0.02)
    resolved.close()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("together", [1, 2])
async def test_lines_that_had_to_queue_again_leave_nothing_behind(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ask for more than is free as soon as a size is known, give up what they have, and come again."""
    bounds = Bounds(in_flight_bytes=16 << 20, memory_bytes=0, disk_bytes=0)
    async with open_world(monkeypatch, bounds=bounds) as world:
        for number in range(PICTURES):
            world.aws.buckets["parts"].put(f"{number}.png", padded_png(MEGABYTES << 20, number))
        with bounded_memory(48):
            async with anyio.create_task_group() as group:
                for first in range(0, PICTURES, together):
                    names = [f"s3://parts/{first + more}.png" for more in range(together)]
                    group.start_soon(_resolve_and_hold, world, names)
        assert world.aws.count("GetObject") > PICTURES
