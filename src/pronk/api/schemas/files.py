"""Files and uploads on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pronk.api import examples
from pronk.api.names import FILE
from pronk.api.schemas.base import ExpiresAfter, In, Integer, Out, Seconds, Text, after_of

Purpose = Literal["assistants", "batch", "evals", "fine-tune", "user_data", "vision"]


class File(Out):
    """A file that was uploaded, or that a batch wrote."""

    model_config = ConfigDict(json_schema_extra={"example": examples.FILE})

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: Seconds
    expires_at: Seconds | None
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"
    status_details: str | None = None


class FileList(Out):
    """A page of files; `last_id` is the cursor of the next one."""

    object: Literal["list"] = "list"
    data: list[File]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileQuery(BaseModel):
    """Which part of the files."""

    after: str | None = after_of(FILE)
    limit: int = Field(10_000, ge=1, le=10_000)
    order: Literal["asc", "desc"] = Field("desc", description="By age; `desc` is newest first.")
    purpose: Purpose | Literal["batch_output"] | None = None


class FileDeleted(Out):
    """A file that is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class ImportFile(In):
    """An object of a store that is to become a file."""

    model_config = ConfigDict(json_schema_extra={"example": examples.IMPORT_FILE})

    url: Text = Field(
        max_length=2048, description="`s3://bucket/key`, `gs://bucket/key` or `az://container/key`."
    )
    purpose: Purpose
    filename: Text | None = Field(None, max_length=512, description="The last step of the URL when absent.")
    expires_after: ExpiresAfter | None = None


class CreateUpload(In):
    """An upload in parts of up to 64 MiB."""

    model_config = ConfigDict(json_schema_extra={"example": examples.CREATE_UPLOAD})

    bytes: Integer = Field(ge=0, le=8 * 2**30, description="Size of the whole file.")
    filename: Text = Field(max_length=512, json_schema_extra={"pattern": examples.FILENAME_PATTERN})
    mime_type: Text = Field(max_length=256)
    purpose: Purpose
    expires_after: ExpiresAfter | None = None


class CompleteUpload(In):
    """The parts in their order."""

    model_config = ConfigDict(json_schema_extra={"example": examples.COMPLETE_UPLOAD})

    part_ids: list[str] = Field(max_length=10_000)
    md5: str | None = Field(None, description="MD5 of the whole file in hexadecimal.")


class Upload(Out):
    """An upload in parts; `file` is there once it is completed."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: Seconds
    expires_at: Seconds
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: File | None


class UploadPart(Out):
    """One part of an upload."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: Seconds
    upload_id: str
