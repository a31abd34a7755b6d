"""One worker after another on one world whose parts can be made to fail, and what their batches came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
from tests.chaos.faults import Faults, FaultyBlobs, FaultyDatabase, FaultyEngine
from tests.store.databases import Opener
from tests.worker.world import World, open_world, request_file

from pronk.domain.batch import Batch
from pronk.domain.ids import BatchId
from pronk.store.store import Store

LINES = 20
SECONDS = 10.0
"""More than any run may take; who is slower hangs."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch came to, ids and times aside, and how often each of its lines was sent."""

    status: str
    counts: tuple[int, int, int]
    good: list[Any]
    bad: list[Any]
    sent: Counter[str]

    @property
    def files(self) -> tuple[Any, ...]:
        """What has to be equal whatever happened."""
        return (self.status, self.counts, self.good, self.bad)


class Stage:
    """A world, and a store of its own to look on from, which never fails."""

    def __init__(self, world: World, opener: Opener, faults: Faults) -> None:
        self.world = world
        self.faults = faults
        self.calm = world.store
        self.calm_blobs = world.blobs
        self._opener = opener

    async def add(self, lines: int = LINES) -> BatchId:
        """Add a batch, undisturbed."""
        self._calm_down()
        self.world.engine.requests.clear()
        return await self.world.add_batch(request_file(lines))

    def disturb(self) -> None:
        """Put the faulty layers between the worker and its parts."""
        self.world.blobs = FaultyBlobs(self.calm_blobs, self.faults)
        self.world.store = self._faulty
        self.world.pool = FaultyEngine(self._pool, self.faults)  # type: ignore[assignment]  # as much as is used

    async def run(self, plan: Any, batch_id: BatchId) -> Outcome:
        """Run one worker until the batch has ended, with `plan` in force."""
        self.disturb()
        self.faults.arm(plan)
        with anyio.fail_after(SECONDS):
            async with self.world.working():
                await self._until_ended(batch_id)
        self.faults.disarm()
        return await self.outcome(batch_id)

    async def outcome(self, batch_id: BatchId) -> Outcome:
        """Return what a batch came to."""
        self._calm_down()
        batch = await self.calm.batches.get(None, batch_id)
        return Outcome(
            status=str(batch.status),
            counts=(batch.counts.total, batch.counts.completed, batch.counts.failed),
            good=[_plain(line) for line in await self.world.lines(batch.output_file_id)],
            bad=[_plain(line) for line in await self.world.lines(batch.error_file_id)],
            sent=Counter(self.world.sent()),
        )

    async def open(self) -> None:
        """Open the store that fails."""
        self._pool = self.world.pool
        self._faulty = Store(FaultyDatabase(self._opener(), self.faults))
        await self._faulty.open(now=1)

    async def close(self) -> None:
        self._calm_down()
        await self._faulty.close()

    def _calm_down(self) -> None:
        self.world.store, self.world.blobs = self.calm, self.calm_blobs
        self.world.pool = self._pool

    async def _until_ended(self, batch_id: BatchId) -> Batch:
        while not (batch := await self.calm.batches.get(None, batch_id)).is_terminal:  # noqa: ASYNC110
            await anyio.sleep(0.002)
        return batch


@asynccontextmanager
async def staged(folder: Path, opener: Opener) -> AsyncIterator[Stage]:
    """Open a stage; both of its stores are on the opener's database."""
    async with open_world(folder) as world:
        await world.store.close()
        world.store = Store(opener())
        await world.store.open(now=1)
        world.tuning = msgspec.structs.replace(
            world.tuning, heartbeat_seconds=0.05, flush_seconds=0.02, idle_seconds=0.02
        )
        stage = Stage(world, opener, Faults())
        await stage.open()
        try:
            yield stage
        finally:
            with anyio.CancelScope(shield=True):
                await stage.close()


def _plain(line: dict[str, Any]) -> Any:
    """Leave out ids that are drawn anew each time."""
    response = line["response"] or {"body": None}
    body = response["body"]
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name != "id"}
    return (line["custom_id"], response.get("status_code"), body, line["error"])
