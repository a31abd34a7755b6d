"""Batches, as they are remembered."""

from __future__ import annotations

import msgspec

from pronk.domain.batch import Batch, LineError
from pronk.domain.errors import ConflictError, NotFoundError
from pronk.domain.ids import BatchId, ProjectId
from pronk.store import rows
from pronk.store.database import LAST, Database, Row, Transaction, TryAgainError
from pronk.store.quotas import Quotas

IDEMPOTENCY_SECONDS = 86_400


class BatchPage(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list of batches."""

    after: str | None = None
    limit: int = 20
    status: str | None = None
    job_id: str | None = None


class Batches:
    """Batch rows."""

    def __init__(self, database: Database, quotas: Quotas) -> None:
        self._database = database
        self._quotas = quotas

    async def add(self, batch: Batch, *, idempotency: tuple[str, str] | None = None) -> BatchId:
        """Remember a batch that waits for intake, and return its id.

        With `idempotency` (key, fingerprint of the request) a batch made with the same key in the last day is the
        answer instead; the same key with another fingerprint raises ConflictError. An input file that is gone raises
        NotFoundError, a project without a place for the batch RateLimitError.
        """

        def work(tx: Transaction) -> BatchId:
            if idempotency is not None:
                earlier = _earlier(tx, batch, *idempotency)
                if earlier is not None:
                    return earlier
            self._quotas.check_batch(tx, batch)
            if not tx.run("insert_batch", **_batch_values(batch)):
                raise NotFoundError(
                    f"No such file: {batch.input_file_id!r}.", param="input_file_id", code="not_found"
                )
            return batch.id

        return await self._database.write(work)

    async def find_by_key(
        self, project_id: ProjectId, idempotency: tuple[str, str], *, now: int
    ) -> BatchId | None:
        """Return the batch that `add` would answer because of its key, before anything else is asked for.

        Raises ConflictError for a key that was used with another fingerprint.
        """
        key, fingerprint = idempotency
        row = await self._database.read(lambda tx: tx.one("find_key", project_id=project_id, key=key))
        if row is None or row["created_at"] <= now - IDEMPOTENCY_SECONDS:
            return None
        return _same(key, fingerprint, row)

    async def get(self, project_id: ProjectId | None, batch_id: str) -> Batch:
        """Return a batch with its counts as of now; `project_id` None is for the program itself."""
        row = await self._database.look(lambda tx: tx.one("get_batch", id=batch_id, project_id=project_id))
        if row is None:
            raise NotFoundError(f"No such batch: {batch_id!r}.", param="batch_id", code="not_found")
        return rows.to_batch(row)

    async def page(self, project_id: ProjectId, page: BatchPage) -> list[Batch]:
        """Return up to `page.limit` batches that are older than `page.after`, newest first."""
        query, values = _page_query(page)
        found = await self._database.read(lambda tx: tx.all(query, project_id=project_id, **values))
        return [rows.to_batch(row) for row in found]

    async def cancel(self, project_id: ProjectId, batch_id: BatchId, *, now: int) -> None:
        """Stop a batch. One that is being cancelled stays so; one that has ended raises ConflictError."""
        values = {"id": batch_id, "project_id": project_id, "now": now}
        if await self._database.write(lambda tx: tx.run("cancel_batch", **values)):
            return
        batch = await self.get(project_id, batch_id)
        if batch.is_terminal:
            raise ConflictError(
                f"Batch {batch_id!r} is {batch.status}; only a batch that has not ended can be cancelled.",
                code="batch_ended",
            )

    async def expire(self, *, now: int) -> list[BatchId]:
        """End the windows that are over and return whose; what is in the last quarter of its window becomes urgent."""

        def work(tx: Transaction) -> list[BatchId]:
            for row in tx.all("find_urgent", now=now):
                tx.run("mark_urgent", id=row["id"])
            over = [BatchId(row["id"]) for row in tx.all("find_over", now=now)]
            return [batch_id for batch_id in over if tx.run("expire_batch", id=batch_id, now=now)]

        return await self._database.write(work)

    async def stop(self, batch_id: BatchId, errors: list[LineError], *, now: int) -> None:
        """Let a batch whose input is lost end as failed, with what it has been answered; one that is ending already stays so."""
        values = {"id": batch_id, "errors": rows.to_json(errors), "now": now}
        await self._database.write(lambda tx: tx.run("stop_batch", **values))

    async def count_by_status(self) -> dict[str, int]:
        """Return how many batches that have not ended are in each status."""
        found = await self._database.read(lambda tx: tx.all("count_batches_by_status"))
        return {row["status"]: row["batches"] for row in found}


def _page_query(page: BatchPage) -> tuple[str, dict[str, object]]:
    values: dict[str, object] = {"limit": page.limit, "after": page.after or LAST}
    if page.job_id is not None:
        return "list_batches_of_job", {**values, "job_id": page.job_id, "status": page.status}
    if page.status is not None:
        return "list_batches_of_status", {**values, "status": page.status}
    return "list_batches", values


def _earlier(tx: Transaction, batch: Batch, key: str, fingerprint: str) -> BatchId | None:
    """Return the batch that has the key, None when it is this one's from now on. Two at once take turns."""
    scope = {"project_id": batch.project_id, "key": key}
    mine = {"fingerprint": fingerprint, "batch_id": batch.id, "now": batch.created_at}
    if tx.one("claim_key", since=batch.created_at - IDEMPOTENCY_SECONDS, **mine, **scope):
        return None
    found = tx.one("find_key", **scope)
    if found is None:
        raise TryAgainError(f"idempotency key {key!r} was forgotten just now")
    return _same(key, fingerprint, found)


def _same(key: str, fingerprint: str, found: Row) -> BatchId:
    if found["fingerprint"] != fingerprint:
        raise ConflictError(
            f"Idempotency-Key {key!r} was used for another request; send the same body or a new key.",
            code="idempotency_conflict",
        )
    return BatchId(found["batch_id"])


def _batch_values(batch: Batch) -> dict[str, object]:
    return {
        "id": batch.id,
        "project_id": batch.project_id,
        "job_id": batch.job.id,
        "job": rows.to_json(batch.job),
        "pool": batch.job.engine,
        "priority": batch.job.priority,
        "endpoint": batch.endpoint,
        "model": batch.model,
        "input_file_id": batch.input_file_id,
        "output_expires_after_seconds": batch.output_expires_after_seconds,
        "completion_window": batch.completion_window,
        "metadata": rows.to_json(batch.metadata) if batch.metadata is not None else None,
        "traceparent": batch.traceparent,
        "created_at": batch.created_at,
        "expires_at": batch.expires_at,
        "urgent_at": _urgent_at(batch),
    }


def _urgent_at(batch: Batch) -> int | None:
    """Return when the last quarter of its window begins."""
    if batch.expires_at is None:
        return None
    return batch.expires_at - (batch.expires_at - batch.created_at) // 4
