"""What ``/metrics`` answers: what this process and its workers measured, and how much there is to do."""

from __future__ import annotations

import anyio.to_thread

from pronk.domain.errors import OutageError
from pronk.settings import Settings
from pronk.store.figures import Queue
from pronk.store.store import Store
from pronk.telemetry import OUTAGES, Folder, render, show
from pronk.telemetry.metrics import BATCHES, DELIVERIES_WAITING, QUEUE_AGE, QUEUE_LINES, SHARDS, WORKERS
from pronk.telemetry.outages import part_of

LOOK_SECONDS = 1.0
"""How old an answer of the database may be, however often somebody scrapes."""

RESTS = 20
"""After a count that took long, so many times as long goes by before the next: it reads every shard of every live batch."""


def metrics_folder(settings: Settings) -> Folder:
    """Return where the workers of a server write their metrics."""
    return Folder(settings.data_dir / "metrics")


class Scrape:
    """Answers a scrape. While the database does not answer, what it said last stands, and the outage is said as well."""

    def __init__(self, store: Store, folder: Folder, *, lease_seconds: float) -> None:
        self._store = store
        self._folder = folder
        self._lease_seconds = lease_seconds
        self._look_again_at = float("-inf")

    async def __call__(self) -> bytes:
        await self._look()
        show()
        return await anyio.to_thread.run_sync(render, self._folder)

    async def _look(self) -> None:
        now = self._store.now()
        if now < self._look_again_at:
            return
        self._look_again_at = now + LOOK_SECONDS
        try:
            queue = await self._store.figures.queue(seen_since=now - self._lease_seconds)
        except OutageError as outage:
            OUTAGES.wait(part_of(outage), self, doing="answering /metrics", error=str(outage))
        else:
            OUTAGES.over(self)
            after = self._store.now()
            self._look_again_at = after + max(LOOK_SECONDS, RESTS * (after - now))
            _set(queue, now)


def _set(queue: Queue, now: float) -> None:
    for status, batches in queue.batches.items():
        BATCHES.labels(status).set(batches)
    for state, shards in queue.shards.items():
        SHARDS.labels(state).set(shards)
    QUEUE_LINES.set(queue.lines)
    QUEUE_AGE.set(max(0.0, now - queue.oldest_at) if queue.oldest_at is not None else 0)
    WORKERS.set(queue.workers)
    for kind, owed in queue.deliveries.items():
        DELIVERIES_WAITING.labels(kind).set(owed)
