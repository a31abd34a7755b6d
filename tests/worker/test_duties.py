"""Whole-batch work of one worker, one piece after the other, under leases that are renewed meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from tests.worker.world import World, open_world, request_file

from pronk.blobs import DiskBlobs
from pronk.store.duties import Duty

pytestmark = pytest.mark.anyio


class Meeting(DiskBlobs):
    """Lets the first input be read when a renewal is under way, and the second when that renewal has been answered."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.renewing, self.next_begun, self.answered = anyio.Event(), anyio.Event(), anyio.Event()
        self.read: Counter[str] = Counter()

    async def stream(self, name: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        self.read[name] += 1
        if len(self.read) == 1:
            await self.renewing.wait()
        else:
            self.next_begun.set()
            await self.answered.wait()
        async for chunk in super().stream(name, start, length):
            yield chunk


def _renew_late(world: World, meeting: Meeting) -> None:
    """Let the first renewal of a duty wait until the next duty has begun."""
    renew = world.store.duties.renew

    async def late(duty: Duty, *, until: float) -> None:
        is_first = not meeting.renewing.is_set()
        meeting.renewing.set()
        if is_first:
            await meeting.next_begun.wait()
        try:
            await renew(duty, until=until)
        finally:
            meeting.answered.set()

    world.store.duties.renew = late  # type: ignore[method-assign]


async def test_a_renewal_that_comes_too_late_does_not_stop_what_has_begun_since(tmp_path: Path) -> None:
    """What is stopped keeps its lease, so nobody else would take it up before that is over."""
    async with open_world(tmp_path) as world:
        world.blobs = meeting = Meeting(tmp_path / "blobs")
        batches = [await world.add_batch(request_file(3)) for _ in range(2)]
        _renew_late(world, meeting)
        async with world.working():
            for batch_id in batches:
                await world.until_ended(batch_id)
    assert list(meeting.read.values()) == [1, 1]
