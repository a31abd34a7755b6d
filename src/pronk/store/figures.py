"""How much there is to do, counted over all projects; for metrics."""

from __future__ import annotations

import msgspec

from pronk.domain.batch import TERMINAL, BatchStatus
from pronk.domain.errand import KINDS
from pronk.domain.shard import ShardState
from pronk.store.database import Database, Transaction

LIVE = tuple(status for status in BatchStatus if status not in TERMINAL)


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What there is at one moment; `batches` are those that have not ended, `oldest_at` is when the oldest batch with shards to claim came in progress, `deliveries` those that are owed by kind."""

    batches: dict[BatchStatus, int]
    shards: dict[ShardState, int]
    lines: int
    oldest_at: int | None
    workers: int
    deliveries: dict[str, int]


class Figures:
    """Questions about all projects at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def queue(self, *, seen_since: float) -> Queue:
        """Count what there is, and the workers that were seen since a moment."""

        def work(tx: Transaction) -> Queue:
            batches = {row["status"]: int(row["batches"]) for row in tx.all("count_batches_by_status")}
            shards = tx.one("count_shards")
            assert shards is not None  # noqa: S101  # sums always give a row
            oldest = tx.one("find_oldest_with_shards")
            workers = tx.one("count_workers", since=seen_since)
            owed = {row["kind"]: int(row["errands"]) for row in tx.all("count_errands")}
            return Queue(
                batches={status: batches.get(status, 0) for status in LIVE},
                shards={state: int(shards[state]) for state in ShardState},
                lines=int(shards["lines_left"]),
                oldest_at=oldest["in_progress_at"] if oldest else None,
                workers=int(workers["workers"]) if workers else 0,
                deliveries={kind: owed.get(kind, 0) for kind in KINDS},
            )

        return await self._database.read(work)

    async def backlog(self) -> dict[str, int]:
        """Return how many shards wait or run in each pool; a batch whose intake waits counts as one."""
        found = await self._database.read(lambda tx: tx.all("count_backlog"))
        return {row["pool"]: int(row["shards"]) for row in found}
