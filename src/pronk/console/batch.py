"""One batch: how far it is, what it used, what failed and why, and what can be done with it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from pronk.api.again import clone_batch, retry_batch
from pronk.api.batches import cancel_batch
from pronk.api.download import download
from pronk.api.names import BATCH, checked_id
from pronk.console.desk import Desk, TheAudit, TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.index import apart, queries
from pronk.console.index.columns import DIMENSIONS
from pronk.console.index.filters import Filter, chosen
from pronk.console.index.shelf import Index
from pronk.console.live import stream
from pronk.console.snippets import snippets
from pronk.domain.batch import Batch
from pronk.domain.errors import NotFoundError, UnavailableError
from pronk.domain.ids import ProjectId

router = APIRouter(prefix="/batches", route_class=Guarded, include_in_schema=False)


READ_SECONDS: Final = 5.0
"""How often failures and the course of a running batch are read anew; its counts are right every second."""


async def find_batch(desk: Desk, project: ProjectId, batch_id: str) -> Batch:
    """Return a batch of the project. Raises NotFoundError."""
    return await desk.parts.store.batches.get(project, checked_id(BATCH, batch_id))


@router.get("/{batch_id}")
async def show_batch(batch_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """The page."""
    batch = await find_batch(desk, viewer.project, batch_id)
    index = _index(desk, batch)
    if index is not None:
        await index.until_begun()
    values = await _values(desk, batch, index)
    return desk.pages.show(
        request,
        "batch.html",
        filename=await filename_of(desk, batch),
        **values,
        **_actions(request, batch, index),
        job=msgspec.json.format(msgspec.json.encode(batch.job), indent=2).decode(),
    )


@router.get("/{batch_id}/live")
async def follow_batch(batch_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """The pieces of the page that change."""
    known = await find_batch(desk, viewer.project, batch_id)
    read = _Read()

    async def pieces() -> dict[str, str]:
        batch = await find_batch(desk, viewer.project, known.id)
        index = _index(desk, batch)
        values = {
            **await _values(desk, batch, index, read),
            **_actions(request, batch, index),
            "session": viewer,
        }
        names = ("batch_actions", "batch_now", "batch_pace", "batch_failures", "batch_facts")
        return {name.replace("_", "-"): desk.pages.text(f"{name}.html", **values) for name in names}

    return stream(desk, pieces)


@router.post("/{batch_id}/cancel")
async def cancel(batch_id: str, desk: TheDesk, viewer: Viewer, audit: TheAudit) -> Response:
    """Stop it."""
    await cancel_batch(batch_id, viewer.project, desk.parts, audit)
    return RedirectResponse(f"/batches/{batch_id}", 303)


@router.post("/{batch_id}/retry")
async def retry(batch_id: str, desk: TheDesk, viewer: Viewer, audit: TheAudit) -> Response:
    """Make a batch of what failed, and go there."""
    made = await retry_batch(batch_id, viewer.project, desk.parts, audit=audit)
    return RedirectResponse(f"/batches/{made.id}", 303)


@router.post("/{batch_id}/clone")
async def clone(batch_id: str, desk: TheDesk, viewer: Viewer, audit: TheAudit) -> Response:
    """Make the same batch once more, and go there."""
    made = await clone_batch(batch_id, viewer.project, desk.parts, audit=audit)
    return RedirectResponse(f"/batches/{made.id}", 303)


@router.get("/{batch_id}/download/{what}")
async def download_file(
    batch_id: str, what: str, request: Request, desk: TheDesk, viewer: Viewer
) -> Response:
    """One of the files of the batch."""
    batch = await find_batch(desk, viewer.project, batch_id)
    files = {"input": batch.input_file_id, "output": batch.output_file_id, "errors": batch.error_file_id}
    file = await desk.parts.store.files.get(viewer.project, files.get(what) or "", now=desk.parts.second)
    return await download(request, file, desk.parts.blobs)


@router.get("/{batch_id}/apart")
async def show_causes(batch_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """What sets failed lines apart; a piece of the page that may be slow, so that it never holds the rest up."""
    batch = await find_batch(desk, viewer.project, batch_id)
    index = desk.shelf.get(batch)
    code = request.query_params.get("code") or None
    try:
        found = await apart.causes(index, code, region_of=desk.parts.store.regions.find_region)
    except UnavailableError:
        found = []
    base = chosen("code", code) if code else chosen("state", "failed")
    shown = [(cause, _narrowed(base, cause)) for cause in found]
    return desk.pages.show(request, "batch_apart.html", batch=batch, causes=shown, is_whole=index.is_whole)


def _actions(request: Request, batch: Batch, index: Index | None) -> dict[str, Any]:
    """Return what the buttons of the page need."""
    return {"snippets": snippets(batch, _base_url(request)), "needs_export": index is None}


def _narrowed(base: Filter, cause: apart.Cause) -> str | None:
    """Return the address of the failed lines that have a cause, None for one that lines are not filtered by."""
    return base.toggled(cause.name, cause.value).address() if cause.name in DIMENSIONS else None


class _Read(msgspec.Struct):
    """What was asked of an index, and when: the failures by code and the course."""

    groups: list[queries.Group] = []
    drawing: str | None = None
    at: float = 0.0
    version: int = -1

    async def renew(self, batch: Batch, index: Index | None, now: float) -> None:
        """Ask again where there is something new; of a running batch not too often, which needs the machine more."""
        if index is None or index.version == self.version:
            return
        if batch.is_terminal or now - self.at >= READ_SECONDS:
            self.version, self.at = index.version, now
            self.groups, self.drawing = await queries.failures(index), await _drawing(index)


async def _values(desk: Desk, batch: Batch, index: Index | None, read: _Read | None = None) -> dict[str, Any]:
    now = desk.parts.now()
    price = batch.job.price
    read = read or _Read()
    await read.renew(batch, index, now)
    groups = read.groups
    return {
        "batch": batch,
        "pace": desk.paces.look(batch, now),
        "cost": price.cost(batch.usage) if price else None,
        "groups": [(group, chosen("code", group.code).address()) for group in groups],
        "drawing": read.drawing,
        "elapsed": _elapsed(batch, now),
        "covered": _covered(batch, index, sum(group.count for group in groups)),
        "in_flight": sum(pool.in_flight for pool in _pools(desk, batch)),
    }


def _pools(desk: Desk, batch: Batch) -> list[Any]:
    pool = desk.pools.get(batch.job.engine)
    return list(getattr(pool, "replicas", ()))


def _index(desk: Desk, batch: Batch) -> Index | None:
    """Return the index, None where DuckDB is missing or nothing will ever be in it."""
    if batch.is_terminal and not (batch.output_file_id or batch.error_file_id):
        return None
    try:
        return desk.shelf.get(batch)
    except UnavailableError:
        return None


async def filename_of(desk: Desk, batch: Batch) -> str | None:
    """Return what the input file is called, None for one that is gone."""
    try:
        file = await desk.parts.store.files.get(batch.project_id, batch.input_file_id, now=desk.parts.second)
    except NotFoundError:
        return None
    return file.filename


async def _drawing(index: Index | None) -> str | None:
    steps = await queries.pace(index) if index is not None else []
    if len(steps) < 2:
        return None
    drawing = {
        "kind": "lines",
        "series": [{"label": "answered/s", "color": "--good"}, {"label": "failed/s", "color": "--bad"}],
        "data": [[step[0] for step in steps], [step[1] for step in steps], [step[2] for step in steps]],
    }
    return msgspec.json.encode(drawing).decode()


def _elapsed(batch: Batch, now: float) -> float | None:
    if batch.in_progress_at is None:
        return None
    ends = (batch.completed_at, batch.expired_at, batch.cancelled_at, batch.failed_at)
    return next((end for end in ends if end), now) - batch.in_progress_at


def _covered(batch: Batch, index: Index | None, shown: int) -> str:
    """Say when the groups are not all there is; a part is never shown as the whole."""
    if index is None or index.is_whole or shown >= batch.counts.failed:
        return ""
    return f"{shown} of {batch.counts.failed} failed lines read so far"


def _base_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"
