"""A batch, its statuses and the only legal moves between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from pronk.domain.ids import BatchId, FileId, ProjectId
from pronk.domain.job import Job
from pronk.domain.usage import NO_USAGE, Usage

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")


class BatchStatus(StrEnum):
    """OpenAI's statuses."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


_S = BatchStatus
MOVES: Final[Mapping[BatchStatus, frozenset[BatchStatus]]] = {
    _S.VALIDATING: frozenset({_S.IN_PROGRESS, _S.FAILED, _S.CANCELLING, _S.CANCELLED}),
    _S.IN_PROGRESS: frozenset({_S.FINALIZING, _S.CANCELLING}),
    _S.FINALIZING: frozenset({_S.IN_PROGRESS, _S.COMPLETED, _S.EXPIRED, _S.FAILED, _S.CANCELLING}),
    _S.CANCELLING: frozenset({_S.CANCELLED}),
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.CANCELLED: frozenset(),
}
"""Status to the statuses it may become. The database holds a copy and refuses every other move."""

TERMINAL = frozenset(status for status, after in MOVES.items() if not after)
LIVE = frozenset(MOVES) - TERMINAL


class LineError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One finding of validation; `line` counts from 1."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class Counts(msgspec.Struct, frozen=True):
    """Request lines of a batch: all, answered, failed."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch row. Times are Unix seconds, None while the event has not happened.

    `job` is the copy taken at creation. `expired` is set once the window has ended: what is finalizing then
    becomes `expired`, not `completed`. `traceparent` is the trace context of the request that made it (W3C).
    """

    id: BatchId
    project_id: ProjectId
    status: BatchStatus
    endpoint: str
    input_file_id: FileId
    completion_window: str
    job: Job
    created_at: int
    model: str | None = None
    metadata: dict[str, str] | None = None
    errors: tuple[LineError, ...] = ()
    output_file_id: FileId | None = None
    error_file_id: FileId | None = None
    output_expires_after_seconds: int | None = None
    expires_at: int | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    counts: Counts = Counts()
    usage: Usage = NO_USAGE
    has_expired: bool = False
    traceparent: str | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in TERMINAL
