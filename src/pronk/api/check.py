"""Preflight: what would come of a batch, without running it."""

from __future__ import annotations

import hashlib
from typing import Final

import anyio
import msgspec
from fastapi import APIRouter, Request, Response

from pronk.api import documented, schemas
from pronk.api.auth import Caller
from pronk.api.batches import input_file, job_of
from pronk.api.connected import while_connected
from pronk.api.files import remember
from pronk.api.parts import ApiParts, Parts
from pronk.api.small import SmallBodies
from pronk.blobs import CHUNK_BYTES, BlobWriter
from pronk.domain.batch import Batch, BatchStatus
from pronk.domain.errors import BlobOutageError, InvalidRequestError
from pronk.domain.file import BATCH_OUTPUT, File
from pronk.domain.ids import ProjectId, new_batch_id, new_file_id
from pronk.domain.window import UNLIMITED
from pronk.lifecycle.check import Check, Fees, Looked, Report
from pronk.lifecycle.intake import Limits

DETAILS_SECONDS: Final = 86_400
AT_ONCE: Final = 128
"""References that one check looks at at the same time, half of what the command does on a machine of its own."""

router = APIRouter(prefix="/v1", tags=["Batches"], route_class=SmallBodies)


@router.post("/batches/check", response_model=schemas.CheckReport, responses=documented.CREATING)
async def check_batch(body: schemas.CheckBatch, request: Request, project: Caller, parts: Parts) -> Response:
    """Check an uploaded file as input of a batch: every line, and a look at every reference. Nothing is run.

    The answer takes as long as the store needs for one small read of each reference, many at a time; one that would take
    longer than `check_seconds` is given up. Checks of one project go one after the other, and end when their client goes.
    """
    return await while_connected(request.receive, lambda: _check(body, project, parts))


async def _check(body: schemas.CheckBatch, project: ProjectId, parts: ApiParts) -> Response:
    file = await input_file(parts, project, body.input_file_id)
    job = await job_of(parts, project, body.job_id, file)
    batch = Batch(
        id=new_batch_id(),
        project_id=project,
        status=BatchStatus.VALIDATING,
        endpoint=body.endpoint,
        input_file_id=file.id,
        completion_window=UNLIMITED,
        job=job,
        created_at=parts.second,
    )
    async with parts.checks.hold(project):
        report, details = await _in_time(parts, batch, file)
    return Response(_answer(batch, report, details), media_type="application/json")


async def _in_time(parts: ApiParts, batch: Batch, file: File) -> tuple[Report, File]:
    seconds = parts.settings.check_seconds
    try:
        with anyio.fail_after(seconds):
            return await _checked(parts, batch, file)
    except TimeoutError as error:
        raise InvalidRequestError(
            f"The check of {file.id} took longer than {seconds:g} seconds and was given up; split the file, or check it "
            "with 'pronk check' on a machine of its own.",
            param="input_file_id",
            code="check_too_long",
        ) from error


async def _checked(parts: ApiParts, batch: Batch, file: File) -> tuple[Report, File]:
    file_id = new_file_id()
    blob = f"files/{file_id}"
    fees = Fees(
        home_region=parts.settings.home_region or await parts.resolver.home_region(),
        price_per_gb=parts.settings.cross_region_price_per_gb,
    )
    check = Check(parts.resolver, Limits.of(parts.settings), fees, at_once=AT_ONCE)
    try:
        async with parts.blobs.writer(blob) as writer:
            details = _Details(writer)
            report = await check(batch, parts.blobs.stream(file.blob), details.add)
            await details.flush()
    except FileNotFoundError as error:
        raise BlobOutageError(f"the bytes of {file.id} are not in storage") from error
    made = File(
        id=file_id,
        project_id=batch.project_id,
        purpose=BATCH_OUTPUT,
        filename=f"{file.id}_check.jsonl",
        bytes=details.size,
        blob=blob,
        created_at=parts.second,
        expires_at=parts.second + DETAILS_SECONDS,
        sha256=details.digest.hexdigest(),
    )
    await remember(parts, made)
    return report, made


class _Details:
    """Every distinct reference as a line of JSON, written in pieces worth a write, one at a time."""

    def __init__(self, writer: BlobWriter) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self._writer = writer
        self._held = bytearray()
        self._turn = anyio.Lock()

    async def add(self, looked: Looked) -> None:
        self._held += msgspec.json.encode(looked) + b"\n"
        if len(self._held) >= CHUNK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        async with self._turn:
            data, self._held = bytes(self._held), bytearray()
            self.size += len(data)
            self.digest.update(data)
            await self._writer.write(data)


def _answer(batch: Batch, report: Report, details: File) -> bytes:
    found = msgspec.to_builtins(report)
    fields = schemas.CheckedReference.model_fields
    found["problems"] = [{name: problem[name] for name in fields} for problem in found["problems"]]
    about = {"object": "batch.check", "input_file_id": batch.input_file_id, "job_id": batch.job.id}
    return msgspec.json.encode({**about, "ok": report.ok, **found, "details_file_id": details.id})
