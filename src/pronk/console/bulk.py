"""What is done with all lines of a filter at once: shown with its count first, and refused when the lines are not those any more."""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec
from fastapi import APIRouter, Request, Response

from pronk.api.again import run_lines
from pronk.console.desk import TheAudit, TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.index import queries
from pronk.console.index.typed import read_filter, write_typed
from pronk.console.results import open_index
from pronk.domain.errors import ConflictError, InvalidRequestError

router = APIRouter(prefix="/batches/{batch_id}", route_class=Guarded, include_in_schema=False)

MAX_MARK: Final = 40


class Deed(msgspec.Struct, frozen=True):
    """What somebody agreed to: `count` lines with this `seal` are marked (an empty mark takes marks away), or run again."""

    do: Literal["mark", "run"]
    count: int
    seal: str
    mark: str = ""


@router.get("/bulk")
async def show_deeds(batch_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """What can be done with the lines of a filter: how many they are, and which filter that is."""
    batch, index = await open_index(desk, viewer, batch_id)
    wanted = read_filter(request.query_params)
    found = await queries.numbers(index, wanted)
    return desk.pages.show(
        request,
        "results_bulk.html",
        batch=batch,
        typed=write_typed(wanted),
        address=wanted.address(),
        count=len(found),
        seal=seal_of(found),
        is_whole=index.is_whole,
    )


@router.post("/bulk")
async def do_deed(
    batch_id: str, request: Request, desk: TheDesk, viewer: Viewer, audit: TheAudit
) -> dict[str, Any]:
    """Do what was agreed to with exactly the lines that it was agreed to for. Raises ConflictError when they are others now."""
    deed = _read(await request.body())
    batch, index = await open_index(desk, viewer, batch_id)
    found = await queries.numbers(index, read_filter(request.query_params))
    if (len(found), seal_of(found)) != (deed.count, deed.seal):
        raise ConflictError(
            f"The lines of this filter have changed: there were {deed.count}, there are {len(found)} now, "
            f"{'as many but others' if len(found) == deed.count else 'so'} nothing was done. Look at them again.",
            code="set_changed",
        )
    if not found:
        raise InvalidRequestError(
            "No line fits the filter, so there is nothing to do.", param="filter", code="invalid_filter"
        )
    if deed.do == "run":
        made = await run_lines(batch, found, desk.parts, audit)
        return {"done": len(found), "path": f"/batches/{made.id}"}
    mark = deed.mark.strip()[:MAX_MARK] or None
    await desk.parts.store.marks.put_all(viewer.project, batch.id, found, mark, now=desk.parts.second)
    return {"done": len(found), "mark": mark}


def seal_of(found: array[int]) -> str:
    """Return what stands for exactly these lines."""
    return blake2b(found.tobytes(), digest_size=12, person=b"pronk lines").hexdigest()


def _read(body: bytes) -> Deed:
    try:
        return msgspec.json.decode(body, type=Deed)
    except msgspec.DecodeError as error:
        raise InvalidRequestError(f"This is no deed: {error}.", code="invalid_value") from error
