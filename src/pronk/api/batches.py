"""Batches: create, list, look at, cancel, and their results while they run."""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Query, Response

from pronk.api import documented, schemas
from pronk.api.audit import Audit
from pronk.api.auth import Caller
from pronk.api.batch_wire import to_wire
from pronk.api.catalog import Catalog
from pronk.api.names import BATCH, FILE, JOB, checked_cursor, checked_id, shown
from pronk.api.outputs import check_output
from pronk.api.paging import to_page
from pronk.api.parts import ApiParts, Parts
from pronk.api.peek import first_model
from pronk.api.results import ResultPage, cursor_line, read_results
from pronk.api.small import SmallBodies
from pronk.domain.batch import Batch, BatchStatus
from pronk.domain.errors import InvalidRequestError, NotFoundError
from pronk.domain.file import File
from pronk.domain.ids import BatchId, ProjectId, new_batch_id
from pronk.domain.job import Job
from pronk.domain.window import window_seconds
from pronk.store.batches import BatchPage
from pronk.telemetry.traces import traceparent

router = APIRouter(prefix="/v1", tags=["Batches"], route_class=SmallBodies)

IdempotencyKey = Annotated[
    str | None,
    Header(
        description="The same key gives the same batch for 24 hours.",
        min_length=1,
        max_length=255,
    ),
]


@router.post("/batches", responses=documented.CREATING)
async def create_batch(
    body: schemas.CreateBatch,
    project: Caller,
    parts: Parts,
    audit: Audit,
    idempotency_key: IdempotencyKey = None,
) -> schemas.Batch:
    """Create a batch. Its lines are checked after that; what is wrong with them is in `errors` of the failed batch."""
    idempotency = (idempotency_key, fingerprint(body.model_dump())) if idempotency_key else None
    before = await made_before(parts, project, idempotency)
    if before is not None:
        return to_wire(before)
    file = await input_file(parts, project, body.input_file_id)
    job = await job_of(parts, project, body.job_id, file)
    await check_output(parts, project, job)
    window, seconds = read_window(body.completion_window, job)
    now = parts.second
    batch = Batch(
        id=new_batch_id(),
        project_id=project,
        status=BatchStatus.VALIDATING,
        endpoint=body.endpoint,
        input_file_id=file.id,
        completion_window=window,
        job=job,
        created_at=now,
        metadata=body.metadata,
        output_expires_after_seconds=body.output_expires_after.seconds if body.output_expires_after else None,
        expires_at=None if seconds is None else now + seconds,
        traceparent=traceparent(),
    )
    batch_id = await parts.store.batches.add(batch, idempotency=idempotency)
    await audit.note("batch.create", batch_id)
    return to_wire(await parts.store.batches.get(project, batch_id))


@router.get("/batches", responses=documented.LISTING)
async def list_batches(
    query: Annotated[schemas.BatchQuery, Query()], project: Caller, parts: Parts
) -> schemas.BatchList:
    """List batches, newest first."""
    page = BatchPage(
        after=checked_cursor(BATCH, query.after),
        limit=query.limit + 1,
        status=query.status,
        job_id=_job_filter(query.job_id),
    )
    found = await parts.store.batches.page(project, page)
    return to_page(schemas.BatchList, found, query.limit, to_wire)


@router.get("/batches/{batch_id}", responses=documented.LOOKING)
async def get_batch(batch_id: str, project: Caller, parts: Parts) -> schemas.Batch:
    """Look at a batch."""
    return to_wire(await parts.store.batches.get(project, checked_id(BATCH, batch_id)))


@router.post("/batches/{batch_id}/cancel", responses=documented.CHANGING)
async def cancel_batch(batch_id: str, project: Caller, parts: Parts, audit: Audit) -> schemas.Batch:
    """Cancel a batch. What was finished is kept; every other request gets a line that says it was cancelled."""
    known = BatchId(checked_id(BATCH, batch_id))
    await parts.store.batches.cancel(project, known, now=parts.second)
    await audit.note("batch.cancel", known)
    return to_wire(await parts.store.batches.get(project, known))


@router.get("/batches/{batch_id}/results", response_model=schemas.ResultList, responses=documented.PAGING)
async def list_results(
    batch_id: str, query: Annotated[schemas.ResultQuery, Query()], project: Caller, parts: Parts
) -> Response:
    """Page through the result lines that there are, in input order, also while the batch runs.

    While it runs, lines may be finished later than ones after them; a cursor does not come back to those.
    """
    batch = await parts.store.batches.get(project, checked_id(BATCH, batch_id))
    page = ResultPage(after=cursor_line(batch.id, query.after), limit=query.limit, status=query.status)
    return Response(await read_results(parts, batch, page), media_type="application/json")


async def made_before(
    parts: ApiParts, project: ProjectId, idempotency: tuple[str, str] | None
) -> Batch | None:
    """Return the batch that an earlier request with the same key made, whatever became of its file and job since."""
    if idempotency is None:
        return None
    found = await parts.store.batches.find_by_key(project, idempotency, now=parts.second)
    return None if found is None else await parts.store.batches.get(project, found)


async def input_file(parts: ApiParts, project: ProjectId, file_id: str) -> File:
    """Return the file that a batch is to read. Raises NotFoundError and InvalidRequestError."""
    try:
        file = await parts.store.files.get(project, checked_id(FILE, file_id), now=parts.second)
    except NotFoundError as error:
        raise NotFoundError(error.message, param="input_file_id", code=error.code) from error
    if file.purpose != "batch":
        raise InvalidRequestError(
            f"File {file.id!r} has the purpose {file.purpose!r}; a batch reads a file of purpose 'batch'.",
            param="input_file_id",
            code="invalid_purpose",
        )
    return file


async def job_of(parts: ApiParts, project: ProjectId, job_id: str | None, file: File) -> Job:
    """Return the job that is named, else the one of the file's first line."""
    catalog = Catalog.of(parts, project)
    if job_id is not None:
        return (await catalog.get(job_id)).job
    return await catalog.for_lines(await first_model(parts.blobs, file, parts.settings.max_line_bytes))


def read_window(given: str | None, job: Job) -> tuple[str, int | None]:
    """Return the window as it was sent, or the job's, and its seconds."""
    window = given if given is not None else job.completion_window
    if window is None:
        raise InvalidRequestError(
            "'completion_window' is missing; use 'unlimited', '24h', or such as '90m' or '7d'.",
            param="completion_window",
            code="missing_required_parameter",
        )
    try:
        return window, window_seconds(window)
    except ValueError as error:
        raise InvalidRequestError(str(error), param="completion_window", code="invalid_value") from error


def _job_filter(job_id: str | None) -> str | None:
    if job_id is None or JOB.pattern.fullmatch(job_id):
        return job_id
    raise InvalidRequestError(
        f"'job_id' is {shown(job_id)}; it has to be the id of a job, such as {JOB.example!r}.",
        param="job_id",
        code="invalid_value",
    )


def fingerprint(request: object) -> str:
    """Return what tells one request of an idempotency key from another."""
    return hashlib.sha256(msgspec.json.encode(request, order="sorted")).hexdigest()
