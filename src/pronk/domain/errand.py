"""What is to be told or carried elsewhere when a batch has ended: events to webhooks, copies of result files."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

import msgspec

from pronk.domain.ids import BatchId, ErrandId, ProjectId, WebhookId

EVENTS: Final = ("batch.completed", "batch.failed", "batch.expired", "batch.cancelled")
KINDS: Final = ("event", "copy")
PATIENCE_SECONDS: Final = 86_400
"""How long a delivery is tried."""

MAX_LOG: Final = 50
_FIRST_DELAY: Final = 5.0
_MAX_DELAY: Final = 3600.0


class ErrandState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """An address that is told of a project's batches. `secret` is ``whsec_`` and base64, as Standard Webhooks has it."""

    id: WebhookId
    project_id: ProjectId
    url: str
    secret: str
    events: tuple[str, ...]
    created_at: int


class ErrandTry(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a delivery: when (Unix seconds), what the receiver answered, or what went wrong."""

    at: int
    status: int | None = None
    error: str | None = None


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery. `target` is a webhook's id or a folder's URL, `subject` the type of an event or a file's id."""

    id: ErrandId
    project_id: ProjectId
    batch_id: BatchId
    kind: Literal["event", "copy"]
    target: str
    subject: str
    state: ErrandState
    attempt: int
    created_at: int
    due_at: float
    ended_at: int | None = None
    log: tuple[ErrandTry, ...] = ()


def delay_after(tries: int, chance: float) -> float:
    """Return the seconds until the next try: twice as long each time, at most an hour, a fifth of it by `chance` (0..1)."""
    wait = min(_MAX_DELAY, _FIRST_DELAY * 2.0 ** min(tries - 1, 20))
    return wait * (0.9 + 0.2 * chance)
