"""Rows to domain values and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pronk.domain.batch import Batch, BatchStatus, Counts, LineError
from pronk.domain.event import Event
from pronk.domain.file import File, Upload, UploadPart
from pronk.domain.job import Job, within
from pronk.domain.key import Key, Scope
from pronk.domain.project import Limits, Project
from pronk.domain.shard import Claim, Cut, Progress, Shard
from pronk.domain.usage import Usage
from pronk.store.database import Row

_decode_job = msgspec.json.Decoder(Job).decode
_decode_errors = msgspec.json.Decoder(tuple[LineError, ...]).decode
_decode_metadata = msgspec.json.Decoder(dict[str, str]).decode
_decode_scopes = msgspec.json.Decoder(tuple[Scope, ...]).decode
_decode_limits = msgspec.json.Decoder(Limits).decode
_decode_allow: Callable[[str], tuple[str, ...] | None] = msgspec.json.Decoder(tuple[str, ...] | None).decode
_KEY = ("id", "project_id", "name", "prefix", "created_at", "expires_at", "last_used_at", "revoked_at")
_PLAIN = (
    "id", "project_id", "endpoint", "input_file_id", "completion_window", "created_at", "model", "output_file_id",
    "error_file_id", "output_expires_after_seconds", "expires_at", "in_progress_at", "finalizing_at", "completed_at",
    "failed_at", "expired_at", "cancelling_at", "cancelled_at", "traceparent",
)  # fmt: skip


def to_json(value: object) -> str:
    """Return a value as JSON text."""
    return msgspec.json.encode(value).decode()


def to_file(row: Row) -> File:
    """Read a file row."""
    return msgspec.convert(dict(row), File)


def to_upload(row: Row) -> Upload:
    """Read an upload row."""
    return msgspec.convert(dict(row), Upload)


def to_upload_part(row: Row) -> UploadPart:
    """Read a row of an upload's part."""
    return msgspec.convert(dict(row), UploadPart)


def to_key(row: Row) -> Key:
    """Read a row of an API key."""
    plain: dict[str, Any] = {name: row[name] for name in _KEY}
    return Key(**plain, scopes=_decode_scopes(row["scopes"]))


def to_limits(text: str) -> Limits:
    """Read a project's limits."""
    return _decode_limits(text)


def to_project(row: Row) -> Project:
    """Read a project row."""
    return Project(
        id=row["id"],
        name=row["name"],
        created_at=row["created_at"],
        limits=to_limits(row["limits"]),
        allow=to_allow(row["allow"]),
    )


def to_allow(text: str) -> tuple[str, ...] | None:
    """Read what a project may read at all."""
    return _decode_allow(text)


def to_event(row: Row) -> Event:
    """Read a row of the audit log."""
    return msgspec.convert(dict(row), Event)


def to_job(definition: str) -> Job:
    """Read a job's stored definition."""
    return _decode_job(definition)


def to_batch(row: Row) -> Batch:
    """Read a batch row with its live sums (columns ``live_…``, null for a batch without shards).

    What its project may read bounds its job as of now, whatever it was when the batch was made.
    """
    plain: dict[str, Any] = {name: row[name] for name in _PLAIN}
    is_live = row["live_completed"] is not None
    return Batch(
        **plain,
        status=BatchStatus(row["status"]),
        job=within(to_job(row["job"]), to_allow(row["project_allow"])),
        metadata=_decode_metadata(row["metadata"]) if row["metadata"] else None,
        errors=_decode_errors(row["errors"]) if row["errors"] else (),
        has_expired=bool(row["has_expired"]),
        counts=_live_counts(row) if is_live else Counts(row["total"], row["completed"], row["failed"]),
        usage=_live_usage(row) if is_live else to_usage(row),
    )


def to_usage(row: Row) -> Usage:
    """Read the four token columns."""
    return Usage(row["input_tokens"], row["cached_tokens"], row["output_tokens"], row["reasoning_tokens"])


def to_shard(row: Row) -> Shard:
    """Read a shard row that somebody holds."""
    return Shard(
        claim=Claim(row["batch_id"], row["number"], row["attempt"], row["worker_id"]), cut=to_cut(row)
    )


def to_cut(row: Row) -> Cut:
    """Read where a shard's lines lie."""
    where = (row["first_line"], row["line_count"], row["byte_start"], row["byte_count"])
    return Cut(row["number"], *where, row["checksum"])


def progress_values(progress: Progress) -> dict[str, int]:
    """Return the columns of a shard's progress."""
    usage = progress.usage
    return {
        "completed": progress.completed,
        "failed": progress.failed,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


def claim_values(claim: Claim) -> dict[str, object]:
    """Return the columns that fence a claim."""
    return {
        "batch_id": claim.batch_id,
        "number": claim.number,
        "attempt": claim.attempt,
        "worker_id": claim.worker_id,
    }


def _live_counts(row: Row) -> Counts:
    return Counts(row["total"], row["live_completed"], row["live_failed"])


def _live_usage(row: Row) -> Usage:
    return Usage(row["live_input"], row["live_cached"], row["live_output"], row["live_reasoning"])
