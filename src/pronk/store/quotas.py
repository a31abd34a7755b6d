"""What a project may still add, decided in the transaction that adds it, so that two at once cannot both take the last place."""

from __future__ import annotations

from collections.abc import Callable

from pronk.domain.batch import Batch, LineError
from pronk.domain.errors import RateLimitError
from pronk.domain.ids import BatchId, ProjectId
from pronk.domain.project import NO_LIMITS, Limits
from pronk.store import rows
from pronk.store.database import Transaction

DAY_SECONDS = 86_400
PLACE_SECONDS = 60.0
"""When to ask again for a place that somebody else has to give up."""
STORAGE_SECONDS = 3600.0


class Quotas:
    """The limits of all projects; `defaults` are those of a project that has none of its own."""

    def __init__(self, defaults: Limits = NO_LIMITS) -> None:
        self._defaults = defaults

    def check_bytes(
        self, tx: Transaction, project_id: ProjectId, more: int, *, now: int, is_read: bool = False
    ) -> None:
        """Raise RateLimitError when `more` bytes would be too many. `is_read` for a look beforehand, which binds nobody."""
        limit = self._limit(tx, project_id, lambda limits: limits.max_stored_bytes)
        if not limit:
            return
        if not is_read:
            tx.one("lock_project", id=project_id)
        stored = used(tx, "sum_stored_bytes", project_id=project_id, now=now)
        if stored + more > limit:
            raise RateLimitError(
                f"The project stores {stored:,} of {limit:,} bytes, which leaves no room for {more:,} more; delete files, "
                "or let them expire.",
                retry_after=STORAGE_SECONDS,
                code="stored_bytes_exceeded",
            )

    def check_batch(self, tx: Transaction, batch: Batch) -> None:
        """Raise RateLimitError when the batch has no place: too many live ones, queued requests or tokens of today."""
        limits = self._of(tx, batch.project_id)
        project = {"project_id": batch.project_id}
        if limits.max_live_batches:
            tx.one("lock_project", id=batch.project_id)
            live = used(tx, "count_live_batches", **project)
            _check("live_batches_exceeded", live, limits.max_live_batches, "batches that have not ended")
        if limits.max_queued_requests:
            queued = used(tx, "count_queued_requests", **project)
            _check(
                "queued_requests_exceeded",
                queued,
                limits.max_queued_requests,
                "requests that wait for their result",
            )
        if limits.max_tokens_per_day:
            check_tokens(tx, batch.project_id, limits.max_tokens_per_day, batch.created_at)

    def find_excess(
        self, tx: Transaction, project_id: ProjectId, batch_id: BatchId, lines: int
    ) -> LineError | None:
        """Return why a batch whose lines have been counted may not start, None when it may."""
        limit = self._limit(tx, project_id, lambda limits: limits.max_queued_requests)
        if not limit:
            return None
        tx.one("lock_project", id=project_id)
        queued = used(tx, "count_queued_requests", project_id=project_id)
        if queued + lines <= limit:
            return None
        message = (
            f"Batch {batch_id!r} has {lines:,} requests; the project has {queued:,} that wait for their result and may "
            f"have {limit:,}. Split the file, or create the batch again when others have ended."
        )
        return LineError(code="queued_requests_exceeded", message=message)

    def check_today(self, tx: Transaction, project_id: ProjectId, now: float) -> int:
        """Return how many tokens were used today. Raises RateLimitError when that is all there are."""
        limit = self._limit(tx, project_id, lambda limits: limits.max_tokens_per_day)
        return check_tokens(tx, project_id, limit, now) if limit else tokens_used(tx, project_id, now)

    def _of(self, tx: Transaction, project_id: ProjectId) -> Limits:
        row = tx.one("find_project", id=project_id)
        own = rows.to_limits(row["limits"]) if row else NO_LIMITS
        return own.over(self._defaults)

    def _limit(self, tx: Transaction, project_id: ProjectId, which: Callable[[Limits], int | None]) -> int:
        return which(self._of(tx, project_id)) or 0


def check_tokens(tx: Transaction, project_id: ProjectId, limit: int, now: float) -> int:
    """Return how many tokens were used today. Raises RateLimitError when that is all there are."""
    tokens = tokens_used(tx, project_id, now)
    if tokens >= limit:
        raise RateLimitError(
            f"The project has used {tokens:,} tokens today, of {limit:,}; the next day begins at midnight UTC.",
            retry_after=DAY_SECONDS - now % DAY_SECONDS,
            code="tokens_per_day_exceeded",
        )
    return tokens


def used(tx: Transaction, query: str, **values: object) -> int:
    """Return the one number that a statement counts."""
    row = tx.one(query, **values)
    return int(row["used"]) if row else 0


def tokens_used(tx: Transaction, project_id: ProjectId, now: float) -> int:
    """Return the tokens of a project on the day of `now`."""
    return used(tx, "count_tokens", project_id=project_id, day=int(now // DAY_SECONDS))


def add_tokens(tx: Transaction, project_id: ProjectId, tokens: int, now: float) -> None:
    """Count tokens on the day of `now`, as part of a larger deed."""
    tx.run("add_tokens", project_id=project_id, day=int(now // DAY_SECONDS), tokens=tokens)


def _check(code: str, count: int, limit: int, words: str) -> None:
    if count >= limit:
        raise RateLimitError(
            f"The project has {count:,} {words} and may have {limit:,}; wait for some to end, or cancel them.",
            retry_after=PLACE_SECONDS,
            code=code,
        )
