"""Uploads in parts: any order, in parallel, put together when the caller names their order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import anyio
import msgspec
from fastapi import APIRouter, Request

from pronk.api import documented, schemas
from pronk.api import files as whole
from pronk.api.audit import Audit
from pronk.api.auth import Caller, Counted
from pronk.api.names import PART, UPLOAD, checked_id, shown
from pronk.api.parts import ApiParts, Parts
from pronk.api.receiving import clean_filename, receive_form, too_large
from pronk.api.small import SmallBodies
from pronk.domain.errors import ConflictError, InvalidRequestError
from pronk.domain.file import File, Upload, UploadPart, UploadStatus
from pronk.domain.ids import ProjectId, UploadId, new_file_id, new_part_id, new_upload_id

PART_BYTES: Final = 64 * 1024 * 1024
SECONDS_TO_LIVE: Final = 3600

router = APIRouter(prefix="/v1", tags=["Uploads"], route_class=SmallBodies)
streaming = APIRouter(prefix="/v1", tags=["Uploads"])


@router.post("/uploads", responses=documented.CREATING)
async def create_upload(
    body: schemas.CreateUpload, project: Caller, parts: Parts, audit: Audit
) -> schemas.Upload:
    """Begin an upload in parts. It has an hour to be completed."""
    if body.purpose == "batch" and body.bytes > parts.settings.max_file_bytes:
        raise too_large(parts.settings.max_file_bytes)
    now = parts.second
    upload = Upload(
        id=new_upload_id(),
        project_id=project,
        status=UploadStatus.PENDING,
        purpose=body.purpose,
        filename=clean_filename(body.filename, "filename"),
        mime_type=_plain_text(body.mime_type),
        bytes=body.bytes,
        created_at=now,
        expires_at=now + SECONDS_TO_LIVE,
        expires_after_seconds=body.expires_after.seconds if body.expires_after else None,
    )
    await parts.store.uploads.add(upload)
    await audit.note("upload.create", upload.id)
    return _to_wire(upload, None)


@streaming.post(
    "/uploads/{upload_id}/parts",
    openapi_extra=documented.PART_FORM,
    responses=documented.CHANGING,
    dependencies=[Counted],
)
async def add_part(upload_id: str, request: Request, project: Caller, parts: Parts) -> schemas.UploadPart:
    """Add a part of up to 64 MiB, in any order and several at once."""
    upload = await _pending(parts, project, upload_id)
    part_id = new_part_id()
    blob = f"{_folder(upload.id)}{part_id}"
    async with parts.blobs.writer(blob) as writer:
        form = await receive_form(request, writer, field="data", limit=lambda _: PART_BYTES)
    part = UploadPart(id=part_id, upload_id=upload.id, bytes=form.size, blob=blob, created_at=parts.second)
    try:
        await parts.store.uploads.add_part(project, part)
    except ConflictError:
        await _forget_blob(parts, blob)
        raise
    return schemas.UploadPart(id=part.id, created_at=part.created_at, upload_id=upload.id)


@router.post("/uploads/{upload_id}/complete", responses=documented.CHANGING)
async def complete_upload(
    upload_id: str, body: schemas.CompleteUpload, project: Caller, parts: Parts, audit: Audit
) -> schemas.Upload:
    """Put the parts together in the order of `part_ids`; their bytes have to add up to what was announced."""
    upload = await _pending(parts, project, upload_id)
    ordered = _ordered(await parts.store.uploads.list_parts(upload.id), body.part_ids)
    _check_size(upload, ordered)
    file = _file_of(upload, parts)
    sha256 = await _put_together(parts, ordered, file, body.md5)
    file = msgspec.structs.replace(file, sha256=sha256)
    try:
        done = await parts.store.uploads.end(upload, UploadStatus.COMPLETED, file)
    except ConflictError:
        await _forget_blob(parts, file.blob)
        raise
    await parts.blobs.delete_below(_folder(upload.id))
    await audit.note("upload.complete", upload.id)
    return _to_wire(done, file)


@router.post("/uploads/{upload_id}/cancel", responses=documented.CHANGING)
async def cancel_upload(upload_id: str, project: Caller, parts: Parts, audit: Audit) -> schemas.Upload:
    """Give an upload up; its parts are deleted."""
    upload = await _pending(parts, project, upload_id)
    ended = await parts.store.uploads.end(upload, UploadStatus.CANCELLED)
    await parts.blobs.delete_below(_folder(upload.id))
    await audit.note("upload.cancel", upload.id)
    return _to_wire(ended, None)


async def _pending(parts: ApiParts, project: ProjectId, upload_id: str) -> Upload:
    """Return an upload that still takes parts. Raises ConflictError for one that has ended."""
    upload = await parts.store.uploads.get(project, checked_id(UPLOAD, upload_id))
    status = upload.status
    if status is UploadStatus.PENDING and upload.expires_at <= parts.now():
        status = UploadStatus.EXPIRED
    if status is UploadStatus.PENDING:
        return upload
    file = f"; its file is {upload.file_id!r}" if upload.file_id else ""
    raise ConflictError(
        f"Upload {upload.id!r} is {status}{file}; only a pending upload can be changed.", code="upload_ended"
    )


def _ordered(known: Sequence[UploadPart], part_ids: Sequence[str]) -> list[UploadPart]:
    by_id: dict[str, UploadPart] = {part.id: part for part in known}
    for number, part_id in enumerate(part_ids):
        param = f"part_ids[{number}]"
        if not PART.pattern.fullmatch(part_id) or part_id not in by_id:
            message = f"{param!r} is {shown(part_id)}, which is no part of this upload."
            raise InvalidRequestError(message, param=param, code="invalid_part")
    if len(set(part_ids)) < len(part_ids):
        raise InvalidRequestError("'part_ids' names a part twice.", param="part_ids", code="invalid_part")
    return [by_id[part_id] for part_id in part_ids]


def _check_size(upload: Upload, ordered: Sequence[UploadPart]) -> None:
    total = sum(part.bytes for part in ordered)
    if total != upload.bytes:
        raise InvalidRequestError(
            f"The parts have {total:,} bytes together, but the upload announced {upload.bytes:,}.",
            param="part_ids",
            code="size_mismatch",
        )


def _file_of(upload: Upload, parts: ApiParts) -> File:
    file_id, now = new_file_id(), parts.second
    return File(
        id=file_id,
        project_id=upload.project_id,
        purpose=upload.purpose,
        filename=upload.filename,
        bytes=upload.bytes,
        blob=f"files/{file_id}",
        created_at=now,
        expires_at=whole.expiry(parts.settings, upload.purpose, upload.expires_after_seconds, now),
    )


async def _put_together(parts: ApiParts, ordered: Sequence[UploadPart], file: File, md5: str | None) -> str:
    """Write the file and return its SHA-256."""
    digest, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    async with parts.blobs.writer(file.blob) as writer:
        for part in ordered:
            async for chunk in parts.blobs.stream(part.blob):
                digest.update(chunk)
                sha256.update(chunk)
                await writer.write(chunk)
        if md5 is not None and md5.lower() != digest.hexdigest():
            raise InvalidRequestError(
                f"'md5' is {shown(md5)}, but the parts in this order have {digest.hexdigest()!r}.",
                param="md5",
                code="md5_mismatch",
            )
    return sha256.hexdigest()


async def _forget_blob(parts: ApiParts, blob: str) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(5):
        await parts.blobs.delete(blob)


def _plain_text(text: str) -> str:
    """A media type is kept and never used; what no database can hold is left out."""
    return "".join(letter for letter in text if letter.isprintable())


def _folder(upload_id: UploadId) -> str:
    return f"uploads/{upload_id}/"


def _to_wire(upload: Upload, file: File | None) -> schemas.Upload:
    return schemas.Upload(
        id=upload.id,
        bytes=upload.bytes,
        created_at=upload.created_at,
        expires_at=upload.expires_at,
        filename=upload.filename,
        purpose=upload.purpose,
        status=upload.status.value,
        file=whole.to_wire(file) if file else None,
    )
