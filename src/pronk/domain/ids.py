"""Identifiers: a prefix that says what it is, then time and chance, so that ids sort by age."""

from __future__ import annotations

import secrets
import time
from collections import deque
from threading import Lock
from typing import NewType

ProjectId = NewType("ProjectId", str)
FileId = NewType("FileId", str)
BatchId = NewType("BatchId", str)
UploadId = NewType("UploadId", str)
PartId = NewType("PartId", str)
JobId = NewType("JobId", str)
WorkerId = NewType("WorkerId", str)
WebhookId = NewType("WebhookId", str)
ErrandId = NewType("ErrandId", str)
KeyId = NewType("KeyId", str)
EventId = NewType("EventId", str)

DEFAULT_PROJECT = ProjectId("proj_default")
"""The project of every caller while no keys are in use."""

_lock = Lock()
_last: deque[int] = deque([0], maxlen=1)
"""The id that was made last, as a number."""


def new_id(prefix: str) -> str:
    """Return `prefix` and 27 lower-case hex digits: 11 of milliseconds, 16 of chance.

    Of one process's ids a later one is greater also within a millisecond, because lists go by them.
    """
    return f"{prefix}{_next(time.time_ns() // 1_000_000):027x}"


def _next(now_ms: int) -> int:
    with _lock:
        is_same = _last[0] >> 64 == now_ms
        _last.append(_last[0] + 1 + secrets.randbits(32) if is_same else now_ms << 64 | secrets.randbits(63))
        return _last[0]


def created_ms(identifier: str, prefix: str) -> int | None:
    """Return when an id was made in Unix milliseconds, None when it is not one of `new_id`'s."""
    digits = identifier.removeprefix(prefix)
    if not identifier.startswith(prefix) or len(digits) != 27:
        return None
    try:
        return int(digits[:11], 16)
    except ValueError:
        return None


def new_file_id() -> FileId:
    """Return a fresh ``file-…``."""
    return FileId(new_id("file-"))


def new_batch_id() -> BatchId:
    """Return a fresh ``batch_…``."""
    return BatchId(new_id("batch_"))


def new_upload_id() -> UploadId:
    """Return a fresh ``upload_…``."""
    return UploadId(new_id("upload_"))


def new_part_id() -> PartId:
    """Return a fresh ``part_…``."""
    return PartId(new_id("part_"))


def new_project_id() -> ProjectId:
    """Return a fresh ``proj_…``."""
    return ProjectId(new_id("proj_"))


def new_key_id() -> KeyId:
    """Return a fresh ``key_…``."""
    return KeyId(new_id("key_"))


def new_event_id() -> EventId:
    """Return a fresh ``event_…``."""
    return EventId(new_id("event_"))


def new_webhook_id() -> WebhookId:
    """Return a fresh ``wh_…``."""
    return WebhookId(new_id("wh_"))


def new_errand_id() -> ErrandId:
    """Return a fresh ``evt_…``, by which a receiver knows an event that comes again."""
    return ErrandId(new_id("evt_"))


def new_worker_id() -> WorkerId:
    """Return a fresh ``worker_…``."""
    return WorkerId(new_id("worker_"))


def result_id(batch_id: BatchId, line: int) -> str:
    """Return the id of a line's result; the same for every attempt, so that repeats are equal."""
    return f"batch_req_{batch_id.removeprefix('batch_')}_{line}"


def result_line(identifier: str) -> int | None:
    """Return the line that a result's id names, None when it is not one of `result_id`'s."""
    batch, _, line = identifier.rpartition("_")
    return int(line) if batch.startswith("batch_req_") and line.isascii() and line.isdecimal() else None
