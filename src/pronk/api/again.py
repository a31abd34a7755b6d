"""A batch once more: the lines of it that failed, or all of them, as a new batch."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio
import msgspec
from fastapi import APIRouter

from pronk.api import documented, schemas
from pronk.api.audit import Audit, Auditor
from pronk.api.auth import Caller
from pronk.api.batch_wire import to_wire
from pronk.api.batches import IdempotencyKey, fingerprint, input_file, made_before, read_window
from pronk.api.catalog import Catalog
from pronk.api.files import expiry, remember
from pronk.api.names import BATCH, checked_id
from pronk.api.outputs import check_output
from pronk.api.parts import ApiParts, Parts
from pronk.api.small import SmallBodies
from pronk.blobs import CHUNK_BYTES
from pronk.domain.batch import Batch, BatchStatus
from pronk.domain.errors import (
    BlobOutageError,
    ConflictError,
    InputLostError,
    InvalidRequestError,
    NotFoundError,
)
from pronk.domain.file import File
from pronk.domain.ids import new_batch_id, new_file_id
from pronk.inputs import checked
from pronk.linewise import picked, result_numbers
from pronk.telemetry.traces import traceparent

router = APIRouter(prefix="/v1", tags=["Batches"], route_class=SmallBodies)


@router.post("/batches/{batch_id}/retry", responses=documented.CHANGING)
async def retry_batch(
    batch_id: str,
    project: Caller,
    parts: Parts,
    *,
    audit: Audit,
    body: schemas.AnotherRun | None = None,
    idempotency_key: IdempotencyKey = None,
) -> schemas.Batch:
    """Make a new batch of the lines that failed, expired or were cancelled, from a new file that holds only them.

    What the body does not set is as in the batch before.
    """
    earlier = await parts.store.batches.get(project, checked_id(BATCH, batch_id))
    idempotency = _idempotency("retry", earlier, idempotency_key, body)
    before = await made_before(parts, project, idempotency)
    if before is not None:
        return to_wire(before)
    file = await _input_of(parts, earlier)
    draft = await _draft(parts, earlier, body or schemas.AnotherRun())
    made = file if _ran_nothing(earlier) else await _failed_lines(parts, earlier, file)
    draft = msgspec.structs.replace(draft, input_file_id=made.id)
    added: str | None = None
    try:
        added = await parts.store.batches.add(draft, idempotency=idempotency)
    finally:
        if added != draft.id and made.id != file.id:
            await _forget(parts, made)
    await audit.note("batch.retry", added)
    return to_wire(await parts.store.batches.get(project, added))


@router.post("/batches/{batch_id}/clone", responses=documented.CHANGING)
async def clone_batch(
    batch_id: str,
    project: Caller,
    parts: Parts,
    *,
    audit: Audit,
    body: schemas.AnotherRun | None = None,
    idempotency_key: IdempotencyKey = None,
) -> schemas.Batch:
    """Make a new batch of the same input file. What the body does not set is as in the batch before."""
    earlier = await parts.store.batches.get(project, checked_id(BATCH, batch_id))
    idempotency = _idempotency("clone", earlier, idempotency_key, body)
    before = await made_before(parts, project, idempotency)
    if before is not None:
        return to_wire(before)
    await _input_of(parts, earlier)
    draft = await _draft(parts, earlier, body or schemas.AnotherRun())
    added = await parts.store.batches.add(draft, idempotency=idempotency)
    await audit.note("batch.clone", added)
    return to_wire(await parts.store.batches.get(project, added))


async def run_lines(earlier: Batch, numbers: array[int], parts: ApiParts, audit: Auditor) -> Batch:
    """Make a new batch of the lines with these ascending numbers, from a new file that holds only them; else as the batch before."""
    file = await _input_of(parts, earlier)
    draft = await _draft(parts, earlier, schemas.AnotherRun())
    made = await _stored_lines(parts, file, numbers, "lines")
    added: str | None = None
    try:
        added = await parts.store.batches.add(msgspec.structs.replace(draft, input_file_id=made.id))
    finally:
        if added is None:
            await _forget(parts, made)
    await audit.note("batch.create", added)
    return await parts.store.batches.get(earlier.project_id, added)


async def _draft(parts: ApiParts, earlier: Batch, body: schemas.AnotherRun) -> Batch:
    """Return the new batch, still with the earlier one's file; the job is looked up, as it is now."""
    catalog = Catalog.of(parts, earlier.project_id)
    job = (await catalog.get(earlier.job.id if body.job_id is None else body.job_id)).job
    await check_output(parts, earlier.project_id, job)
    given = earlier.completion_window if body.completion_window is None else body.completion_window
    window, seconds = read_window(given, job)
    now = parts.second
    return Batch(
        id=new_batch_id(),
        project_id=earlier.project_id,
        status=BatchStatus.VALIDATING,
        endpoint=earlier.endpoint,
        input_file_id=earlier.input_file_id,
        completion_window=window,
        job=job,
        created_at=now,
        metadata=body.metadata if "metadata" in body.model_fields_set else earlier.metadata,
        output_expires_after_seconds=earlier.output_expires_after_seconds,
        expires_at=None if seconds is None else now + seconds,
        traceparent=traceparent(),
    )


def _idempotency(
    deed: str, earlier: Batch, key: str | None, body: schemas.AnotherRun | None
) -> tuple[str, str] | None:
    return (key, fingerprint([deed, earlier.id, body.model_dump() if body else {}])) if key else None


async def _input_of(parts: ApiParts, batch: Batch) -> File:
    try:
        return await input_file(parts, batch.project_id, batch.input_file_id)
    except NotFoundError as error:
        raise InvalidRequestError(
            f"The input file {batch.input_file_id!r} of batch {batch.id!r} is gone, deleted or expired; upload it again "
            "and create a batch.",
            param="batch_id",
            code="input_file_gone",
        ) from error


def _ran_nothing(batch: Batch) -> bool:
    """Return whether a batch was cancelled before its lines were counted, so that all of them are left.

    Raises ConflictError for one that has not ended, InvalidRequestError for one that has nothing to try again.
    """
    if not batch.is_terminal:
        raise ConflictError(
            f"Batch {batch.id!r} is {batch.status}; wait for its end, or cancel it, before its failed lines are tried "
            "again.",
            code="batch_not_ended",
        )
    if batch.status is BatchStatus.FAILED:
        raise _nothing(_why_failed(batch))
    if not batch.counts.total and batch.status is BatchStatus.CANCELLED:
        return True
    if batch.error_file_id is None:
        raise _nothing(f"Batch {batch.id!r} has no failed line; there is nothing to try again.")
    return False


def _why_failed(batch: Batch) -> str:
    if batch.in_progress_at is None:
        return (
            f"Batch {batch.id!r} failed validation, so none of its lines ran; correct the file (see 'errors') and "
            "create a batch of it."
        )
    return (
        f"Batch {batch.id!r} was stopped because its input file was lost or damaged in storage (see 'errors'), so its "
        "lines cannot be read again; upload the file again and create a batch of it. What was answered is in its output "
        "file."
    )


def _nothing(message: str) -> InvalidRequestError:
    return InvalidRequestError(message, param="batch_id", code="nothing_to_retry")


async def _failed_lines(parts: ApiParts, batch: Batch, file: File) -> File:
    """Store the lines that failed as a file of their own; of files that have changed in storage nothing is stored."""
    errors = await _error_file(parts, batch)
    with _lost(f"{file.id} or {errors.id}"):
        numbers = await result_numbers(checked(parts.blobs.stream(errors.blob), errors))
    return await _stored_lines(parts, file, numbers, "retry")


async def _stored_lines(parts: ApiParts, file: File, numbers: array[int], what: str) -> File:
    """Store the lines with these ascending numbers as a file of their own, with `what` in its name."""
    file_id, now = new_file_id(), parts.second
    blob = f"files/{file_id}"
    with _lost(file.id):
        size, sha256 = await _copy(parts, picked(checked(parts.blobs.stream(file.blob), file), numbers), blob)
    made = File(
        id=file_id,
        project_id=file.project_id,
        purpose="batch",
        filename=_name_of(file.filename, what),
        bytes=size,
        blob=blob,
        created_at=now,
        expires_at=expiry(parts.settings, "batch", None, now),
        sha256=sha256,
    )
    await remember(parts, made)
    return made


@contextmanager
def _lost(names: str) -> Iterator[None]:
    """Say of files that are gone or have changed in storage what callers can make of it."""
    try:
        yield
    except InputLostError as lost:
        if lost.code == "input_missing":
            raise BlobOutageError(f"the bytes of {names} are not in storage") from lost
        raise InvalidRequestError(lost.message, param="batch_id", code=lost.code) from lost


async def _forget(parts: ApiParts, made: File) -> None:
    """Take back the file of a batch that was not made."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(5):
        await parts.blobs.delete(await parts.store.files.delete(made.project_id, made.id))


async def _copy(parts: ApiParts, lines: AsyncIterator[bytes], blob: str) -> tuple[int, str]:
    """Store lines in pieces worth a write; return how many bytes they are and their SHA-256 in hex digits."""
    held, size, digest = bytearray(), 0, hashlib.sha256()
    async with parts.blobs.writer(blob) as writer:
        async for line in lines:
            held += line
            size += len(line)
            digest.update(line)
            if len(held) >= CHUNK_BYTES:
                await writer.write(bytes(held))
                held.clear()
        await writer.write(bytes(held))
    return size, digest.hexdigest()


async def _error_file(parts: ApiParts, batch: Batch) -> File:
    try:
        return await parts.store.files.get(batch.project_id, batch.error_file_id or "", now=parts.second)
    except NotFoundError as error:
        raise InvalidRequestError(
            f"The error file {batch.error_file_id!r} of batch {batch.id!r} is gone, deleted or expired, so nobody knows "
            "which lines failed; run all of them again with a clone.",
            param="batch_id",
            code="error_file_gone",
        ) from error


def _name_of(name: str, what: str) -> str:
    stem, dot, ending = name.rpartition(".")
    base, end = (stem, dot + ending) if stem else (name, "")
    return f"{base.removesuffix(f'.{what}')[:480]}.{what}{end}"
