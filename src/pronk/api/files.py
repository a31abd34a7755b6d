"""Files: upload, list, look at, download, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import anyio
import msgspec
from fastapi import APIRouter, Query, Request, Response

from pronk.api import documented, schemas
from pronk.api.audit import Audit
from pronk.api.auth import Announced, Caller, Counted
from pronk.api.download import download
from pronk.api.names import FILE, checked_cursor, checked_id, shown
from pronk.api.paging import to_page
from pronk.api.parts import ApiParts, Parts
from pronk.api.receiving import Received, receive_form
from pronk.domain.errors import InvalidRequestError, OutageError, PronkError
from pronk.domain.file import PURPOSES, File
from pronk.domain.ids import FileId, new_file_id
from pronk.settings import Settings
from pronk.store.files import FilePage

MAX_BYTES: Final = 512 * 1024 * 1024
"""The most for purposes other than batch, as OpenAI's."""

TTL: Final = range(3600, 2_592_000 + 1)
_DAY: Final = 86_400

router = APIRouter(prefix="/v1", tags=["Files"])


@router.post(
    "/files",
    response_model=schemas.File,
    openapi_extra=documented.FILE_FORM,
    responses=documented.UPLOADING,
    dependencies=[Counted, Announced],
)
async def create_file(request: Request, project: Caller, parts: Parts, audit: Audit) -> schemas.File:
    """Upload a file. It streams to storage; a file of purpose `batch` may have 200 MB."""
    file_id = new_file_id()
    blob = f"files/{file_id}"
    async with parts.blobs.writer(blob) as writer:
        form = await receive_form(
            request, writer, field="file", limit=lambda fields: max_bytes(parts.settings, fields)
        )
        purpose, seconds = _read_purpose(form), _read_expiry(form)
    now = parts.second
    file = File(
        id=file_id,
        project_id=project,
        purpose=purpose,
        filename=form.filename or "",
        bytes=form.size,
        blob=blob,
        created_at=now,
        expires_at=expiry(parts.settings, purpose, seconds, now),
        sha256=form.sha256,
    )
    await remember(parts, file)
    await audit.note("file.create", file.id)
    return to_wire(file)


@router.get("/files", responses=documented.LISTING)
async def list_files(
    query: Annotated[schemas.FileQuery, Query()], project: Caller, parts: Parts
) -> schemas.FileList:
    """List files."""
    page = FilePage(
        after=checked_cursor(FILE, query.after),
        limit=query.limit + 1,
        descending=query.order == "desc",
        purpose=query.purpose,
    )
    found = await parts.store.files.page(project, page, now=parts.second)
    return to_page(schemas.FileList, found, query.limit, to_wire)


@router.get("/files/{file_id}", responses=documented.LOOKING)
async def get_file(file_id: str, project: Caller, parts: Parts) -> schemas.File:
    """Look at a file."""
    return to_wire(await parts.store.files.get(project, checked_id(FILE, file_id), now=parts.second))


@router.delete("/files/{file_id}", responses=documented.CHANGING)
async def delete_file(file_id: str, project: Caller, parts: Parts, audit: Audit) -> schemas.FileDeleted:
    """Delete a file. The input of a batch that has not ended cannot be deleted."""
    known = FileId(checked_id(FILE, file_id))
    blob = await parts.store.files.delete(project, known)
    await parts.blobs.delete(blob)
    await audit.note("file.delete", known)
    return schemas.FileDeleted(id=known)


@router.head("/files/{file_id}/content", include_in_schema=False)
@router.get("/files/{file_id}/content", response_class=Response, responses=documented.CONTENT)
async def get_content(file_id: str, request: Request, project: Caller, parts: Parts) -> Response:
    """Download a file. `Range` may ask for one range of bytes."""
    file = await parts.store.files.get(project, checked_id(FILE, file_id), now=parts.second)
    return await download(request, file, parts.blobs)


def to_wire(file: File) -> schemas.File:
    """Return a file as OpenAI shows it."""
    return schemas.File(
        id=file.id,
        bytes=file.bytes,
        created_at=file.created_at,
        expires_at=file.expires_at,
        filename=file.filename,
        purpose=file.purpose,
    )


def max_bytes(settings: Settings, fields: Mapping[str, str]) -> int:
    """Return how large a file may be, as far as its purpose is known."""
    return (
        settings.max_file_bytes
        if fields.get("purpose") == "batch"
        else max(MAX_BYTES, settings.max_file_bytes)
    )


def expiry(settings: Settings, purpose: str, seconds: int | None, now: int) -> int | None:
    """Return when a new file expires: what was asked for, else for batch files the retention of the settings."""
    if seconds is None and purpose == "batch" and settings.file_retention_days:
        seconds = settings.file_retention_days * _DAY
    return None if seconds is None else now + seconds


async def remember(parts: ApiParts, file: File) -> None:
    """Write the row of a file whose bytes are in storage; without the row the bytes go again.

    After an outage nobody knows whether there is a row, so the bytes stay; the reaper removes them if there is none.
    """
    try:
        await parts.store.files.add(file)
    except OutageError:
        raise
    except PronkError:
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            await parts.blobs.delete(file.blob)
        raise


def _read_purpose(form: Received) -> str:
    purpose = form.fields.get("purpose")
    if purpose is None:
        raise InvalidRequestError(
            f"The form has no field 'purpose'; it has to be one of {', '.join(PURPOSES)}.",
            param="purpose",
            code="missing_required_parameter",
        )
    if purpose not in PURPOSES:
        raise InvalidRequestError(
            f"'purpose' is {shown(purpose)}; it has to be one of {', '.join(PURPOSES)}.",
            param="purpose",
            code="invalid_value",
        )
    return purpose


class _Expiry(msgspec.Struct):
    anchor: str | None
    seconds: str | None


def _read_expiry(form: Received) -> int | None:
    """Return the seconds of ``expires_after``, None when the form does not have it."""
    given = _Expiry(form.fields.get("expires_after[anchor]"), form.fields.get("expires_after[seconds]"))
    if given.anchor is None and given.seconds is None:
        return None
    if given.anchor != "created_at":
        raise InvalidRequestError(
            f"'expires_after[anchor]' is {shown(given.anchor)}; it has to be 'created_at'.",
            param="expires_after[anchor]",
            code="invalid_value",
        )
    text = (given.seconds or "").strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) in TTL):
        raise InvalidRequestError(
            f"'expires_after[seconds]' is {shown(given.seconds)}; it has to be a whole number from {TTL[0]} to {TTL[-1]}.",
            param="expires_after[seconds]",
            code="invalid_value",
        )
    return int(text)
