"""A file that was uploaded or produced, and an upload in parts."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pronk.domain.ids import FileId, PartId, ProjectId, UploadId

PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")
"""What a caller may upload a file for."""

BATCH_OUTPUT = "batch_output"
"""The purpose of the files that batches write."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file row; its bytes lie in storage under `blob`. `sha256` is in hex digits, None where nobody counted."""

    id: FileId
    project_id: ProjectId
    purpose: str
    filename: str
    bytes: int
    blob: str
    created_at: int
    expires_at: int | None = None
    sha256: str | None = None


class UploadStatus(StrEnum):
    """Where an upload in parts stands."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload in parts; `bytes` is what the caller announced."""

    id: UploadId
    project_id: ProjectId
    status: UploadStatus
    purpose: str
    filename: str
    mime_type: str
    bytes: int
    created_at: int
    expires_at: int
    expires_after_seconds: int | None = None
    file_id: FileId | None = None


class UploadPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of an upload; its bytes lie in storage under `blob`."""

    id: PartId
    upload_id: UploadId
    bytes: int
    blob: str
    created_at: int
