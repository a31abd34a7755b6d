"""Which workers live."""

from __future__ import annotations

from pronk.domain.ids import WorkerId
from pronk.store.batches import IDEMPOTENCY_SECONDS
from pronk.store.database import Database, Transaction

LIVING_SECONDS = 10.0
"""Who was not seen for so long is not counted as living."""


class Workers:
    """Worker rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def see(self, worker_id: WorkerId, *, host: str, pid: int, now: float) -> int:
        """Note that a worker lives; return how many do."""
        values = {"id": worker_id, "host": host, "pid": pid, "now": now, "since": now - LIVING_SECONDS}
        row = await self._database.write(lambda tx: tx.one("see_worker", **values))
        return int(row["workers"]) if row else 1

    async def count(self, *, since: float) -> int:
        """Return how many workers were seen since then."""
        row = await self._database.read(lambda tx: tx.one("count_workers", since=since))
        return int(row["workers"]) if row else 0

    async def forget_old(self, *, now: float) -> None:
        """Drop workers after an hour of silence and idempotency keys after a day."""

        def work(tx: Transaction) -> None:
            tx.run("forget_idempotent", before=int(now) - IDEMPOTENCY_SECONDS)
            tx.run("forget_late_workers", before=now - 3600)

        await self._database.write(work)

    async def find_of_process(self, *, host: str, pid: int) -> WorkerId | None:
        """Return the worker of a process, newest first where a number was used again."""
        row = await self._database.read(lambda tx: tx.one("find_worker_of_process", host=host, pid=pid))
        return WorkerId(row["id"]) if row else None

    async def of_host(self, host: str) -> list[tuple[WorkerId, int]]:
        """Return the workers of a machine with their process numbers."""
        found = await self._database.read(lambda tx: tx.all("list_workers_of_host", host=host))
        return [(WorkerId(row["id"]), int(row["pid"])) for row in found]
