"""A database filled with live batches, and the store's own deeds on it, timed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Any, TypeVar

from tests.store.scenes import a_batch

from pronk.domain.ids import FileId, ProjectId, WorkerId
from pronk.domain.shard import Progress
from pronk.domain.usage import Usage
from pronk.store.batches import BatchPage
from pronk.store.opening import open_database
from pronk.store.postgres import PostgresTransaction
from pronk.store.store import Store

T = TypeVar("T")

SHARDS = 100
"""Of each batch: 50,000 lines, 500 in each shard."""

BATCHES_OF_PROJECT = 10
PROJECT = ProjectId("proj_0")
FILE = FileId("file-0")
WORKER = WorkerId("worker_bench")
NOW = 1_000_000_000
FAR = 2e9

_NUMBERS = (
    "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {n}), "
    "m (s) AS (SELECT 0 UNION ALL SELECT s + 1 FROM m WHERE s < {m}) "
)
_FILL = """
INSERT INTO project (id, name, created_at) SELECT 'proj_' || i, 'name ' || i, 0 FROM n WHERE i < {projects};
INSERT INTO file (id, project_id, purpose, filename, bytes, blob, created_at)
SELECT 'file-' || i, 'proj_' || (i % {projects}), 'batch', '', 1, '', 0 FROM n;
INSERT INTO batch (id, project_id, job_id, job, pool, status, endpoint, model, input_file_id, completion_window,
                   created_at, in_progress_at, total, shards_pending, turn)
SELECT 'batch_' || i, 'proj_' || (i % {projects}), 'job-a', '{{"id":"job-a"}}', 'default', 'in_progress',
       '/v1/chat/completions', 'm', 'file-' || i, 'unlimited', 0, 0, 50000, {shards}, 0 FROM n;
INSERT INTO shard (batch_id, number, state, first_line, line_count, byte_start, byte_count)
SELECT 'batch_' || i, s, 'pending', 1 + s * 500, 500, s * 200000, 200000 FROM n, m;
INSERT INTO share (pool, priority, parent, name, turn, is_active, version)
SELECT 'default', 0, '', 'proj_' || i, 0, 1, 1 FROM n WHERE i < {projects};
INSERT INTO share (pool, priority, parent, name, turn, is_active, version)
SELECT 'default', 0, 'proj_' || i, 'job-a', 0, 1, 1 FROM n WHERE i < {projects}
"""


class Field:
    """A store with so many live batches; `seconds` are the times of each deed."""

    def __init__(self, store: Store, batches: int) -> None:
        self.batches = batches
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self._store = store

    async def fill(self) -> None:
        """Make the batches, ten to a project, every shard waiting."""
        projects = max(1, self.batches // BATCHES_OF_PROJECT)
        filled = _FILL.format(projects=projects, shards=SHARDS)
        numbers = _NUMBERS.format(n=self.batches - 1, m=SHARDS - 1)

        def work(tx: Any) -> None:
            for statement in filled.split(";\n"):
                tx._connection.execute(numbers + statement)  # noqa: SLF001  # no statement of the store's

            if isinstance(tx, PostgresTransaction):  # which does so by itself after a while
                tx._connection.execute("ANALYZE")  # noqa: SLF001  # likewise

        await self._store._database.write(work)  # noqa: SLF001  # likewise

    async def measure(self, times: int) -> None:
        """Do everything that grows with use, so often."""
        page = BatchPage(limit=BATCHES_OF_PROJECT)
        for _ in range(times):
            await self._serve_shard()
            await self._create()
            await self._timed("list", lambda: self._store.batches.page(PROJECT, page))

    async def count(self) -> None:
        """Ask what a scrape of the metrics asks."""
        await self._timed("scrape", lambda: self._store.figures.queue(seen_since=0))

    def medians(self) -> dict[str, float]:
        """Return what each deed costs, in milliseconds."""
        return {f"{name} ms": median(seconds) * 1000 for name, seconds in self.seconds.items()}

    async def _serve_shard(self) -> None:
        shards = self._store.shards
        found = await self._timed("claim", lambda: shards.claim("default", WORKER, until=FAR))
        if found is None:
            raise RuntimeError("there is nothing left to claim")
        claim, done = found[1].claim, Progress(500, 0, Usage(500 * 900, 0, 0, 0))
        await self._timed("renew", lambda: shards.renew(WORKER, until=FAR))
        await self._timed("report", lambda: shards.report([(claim, Progress(250))]))
        await self._timed("finish", lambda: shards.finish(claim, done, now=NOW))

    async def _create(self) -> None:
        batch = a_batch(FILE, project=PROJECT)
        await self._timed("create", lambda: self._store.batches.add(batch))

        def forget(tx: Any) -> None:
            tx._connection.execute(f"DELETE FROM batch WHERE id = '{batch.id}'")  # noqa: SLF001, S608  # likewise

        await self._store._database.write(forget)  # noqa: SLF001  # likewise

    async def _timed(self, name: str, deed: Callable[[], Awaitable[T]]) -> T:
        began = time.perf_counter()
        answer = await deed()
        self.seconds[name].append(time.perf_counter() - began)
        return answer


@asynccontextmanager
async def open_field(url: str, batches: int) -> AsyncIterator[Field]:
    """Open and fill a new database."""
    store = Store(open_database(url))
    await store.open(now=NOW)
    try:
        field = Field(store, batches)
        await field.fill()
        yield field
    finally:
        await store.close()


def spread(medians: list[dict[str, float]]) -> Iterator[tuple[str, float]]:
    """Yield for each deed how many times the cheapest size the dearest one costs."""
    for name in medians[0]:
        values = [each[name] for each in medians]
        yield name, max(values) / min(values)
