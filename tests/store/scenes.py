"""The shortest ways to rows: files, batches, shards that somebody holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pronk.domain.batch import Batch, BatchStatus, Counts
from pronk.domain.file import File
from pronk.domain.ids import (
    DEFAULT_PROJECT,
    BatchId,
    FileId,
    JobId,
    ProjectId,
    WorkerId,
    new_batch_id,
    new_file_id,
)
from pronk.domain.job import Job
from pronk.domain.shard import Claim, Cut, Progress
from pronk.domain.usage import NO_USAGE, Usage
from pronk.store.database import Database, Transaction
from pronk.store.duties import Duty, Ending
from pronk.store.store import Store

NOW = 1_000_000
LATE = NOW + 1e9
"""After every lease of these tests."""

WORKER, OTHER = WorkerId("worker_a"), WorkerId("worker_b")
ELSEWHERE = ProjectId("proj_elsewhere")
ENDING = Ending(output=None, errors=None, counts=Counts(), usage=NO_USAGE)


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[Store]:
    """Open a store with two projects."""
    store = Store(database)
    await store.open(now=NOW)
    await database.write(lambda tx: tx.run("ensure_project", id=ELSEWHERE, name="elsewhere", now=NOW))
    try:
        yield store
    finally:
        await store.close()


def a_file(*, project: ProjectId = DEFAULT_PROJECT, **more: Any) -> File:
    file_id = new_file_id()
    plain: dict[str, Any] = {
        "purpose": "batch",
        "filename": "in.jsonl",
        "bytes": 10,
        "blob": f"files/{file_id}",
        "created_at": NOW,
    }
    return File(id=file_id, project_id=project, **(plain | more))


def a_batch(file_id: FileId, *, project: ProjectId = DEFAULT_PROJECT, **more: Any) -> Batch:
    job = Job(
        id=JobId(more.pop("job", "job-a")),
        engine=more.pop("pool", "default"),
        priority=more.pop("priority", 0),
    )
    plain: dict[str, Any] = {
        "endpoint": "/v1/embeddings",
        "completion_window": "unlimited",
        "created_at": NOW,
    }
    return Batch(
        id=new_batch_id(),
        project_id=project,
        status=BatchStatus.VALIDATING,
        input_file_id=file_id,
        job=job,
        **(plain | more),
    )


async def add_batch(
    store: Store, *, size: int = 10, project: ProjectId = DEFAULT_PROJECT, **more: Any
) -> BatchId:
    """Add a batch that waits for intake."""
    file = a_file(project=project, bytes=size)
    await store.files.add(file)
    return await store.batches.add(a_batch(file.id, project=project, **more))


async def start_batch(store: Store, *, shards: int = 1, lines: int = 10, **more: Any) -> BatchId:
    """Add a batch whose shards wait."""
    batch_id = await add_batch(store, **more)
    duty = await take_duty(store)
    assert (duty.batch_id, duty.kind) == (batch_id, "intake")
    await store.duties.start_batch(duty, cuts(shards, lines), model="m", now=NOW)
    return batch_id


def cuts(shards: int, lines: int = 10) -> list[Cut]:
    return [Cut(number, 1 + number * lines, lines, number * 100, 100) for number in range(shards)]


async def take_duty(store: Store, worker: WorkerId = WORKER, *, now: float = NOW) -> Duty:
    duty = await store.duties.claim(worker, now=now, until=now + 60)
    assert duty is not None
    return duty


async def take(
    store: Store, worker: WorkerId = WORKER, *, until: float = LATE, pool: str = "default"
) -> Claim:
    found = await store.shards.claim(pool, worker, until=until)
    assert found is not None
    return found[1].claim


async def status_of(store: Store, batch_id: str) -> BatchStatus:
    return (await store.batches.get(None, batch_id)).status


def done(lines: int, *, failed: int = 0, tokens: int = 0) -> Progress:
    return Progress(lines, failed, Usage(tokens, 0, 0, 0))


async def ask(store: Store, query: Callable[[Transaction], Any]) -> Any:
    """Look into the database itself."""
    return await store._database.read(query)
