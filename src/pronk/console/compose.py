"""A new batch: a file that is dropped or composed, looked at before it costs anything, and started."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from pronk.api import schemas
from pronk.api.batches import create_batch
from pronk.api.catalog import Catalog
from pronk.api.check import check_batch
from pronk.api.files import create_file
from pronk.console.desk import Desk, TheAudit, TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.session import Session
from pronk.domain.batch import ENDPOINTS
from pronk.domain.errors import InvalidRequestError
from pronk.domain.job import Job

router = APIRouter(prefix="/new", route_class=Guarded, include_in_schema=False)


async def jobs_of(desk: Desk, viewer: Session) -> list[Job]:
    """Return every job that the caller may use."""
    catalog = Catalog.of(desk.parts, viewer.project)
    return [entry.job async for entry in catalog.entries()]


@router.get("")
async def show_form(request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """The page."""
    jobs = await jobs_of(desk, viewer)
    return desk.pages.show(
        request,
        "new.html",
        jobs=jobs,
        models=sorted({job.model for job in jobs if job.model}),
        endpoints=ENDPOINTS,
        chosen=request.query_params.get("job", ""),
    )


@router.post("/file")
async def take_file(request: Request, desk: TheDesk, viewer: Viewer, audit: TheAudit) -> dict[str, Any]:
    """An upload, straight to storage as by the API."""
    file = await create_file(request, viewer.project, desk.parts, audit)
    return {"id": file.id, "filename": file.filename, "bytes": file.bytes}


@router.post("/check")
async def check_file(request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """What would come of it, without running anything."""
    body = _read(schemas.CheckBatch, await request.body())
    answer = await check_batch(body, request, viewer.project, desk.parts)
    report = msgspec.json.decode(bytes(answer.body))
    return desk.pages.show(request, "new_check.html", report=report)


@router.post("/start")
async def start_batch(request: Request, desk: TheDesk, viewer: Viewer, audit: TheAudit) -> dict[str, str]:
    """Make the batch; the key in the header makes a second press the same batch."""
    body = _read(schemas.CreateBatch, await request.body())
    made = await create_batch(body, viewer.project, desk.parts, audit, request.headers.get("idempotency-key"))
    return {"id": made.id, "path": f"/batches/{made.id}"}


def _read(kind: Any, body: bytes) -> Any:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the form"
        raise InvalidRequestError(f"{where}: {first['msg']}", param=where, code="invalid_value") from error
