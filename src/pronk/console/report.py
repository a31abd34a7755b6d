"""A batch to hand on: one HTML file with small pictures in it, that opens anywhere and asks nobody for anything."""

from __future__ import annotations

import base64
from typing import Final

import anyio
from fastapi import APIRouter, Request, Response

from pronk.console.batch import filename_of
from pronk.console.desk import Desk, TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.index import distributions, queries
from pronk.console.index.typed import read_filter, write_typed
from pronk.console.pictures import Spot, small_picture
from pronk.console.results import open_index
from pronk.console.session import Session
from pronk.domain.batch import Batch
from pronk.domain.errors import ApiError, OutageError, RequestError, UnavailableError

router = APIRouter(prefix="/batches/{batch_id}", route_class=Guarded, include_in_schema=False)

MAX_BYTES: Final = 10_000_000
MAX_LINES: Final = 400
_PICTURES_BYTES: Final = 8_500_000
"""What pictures may take of the whole, in base64; the rest is for texts, which are cut."""

_SECONDS: Final = 60.0
_AT_ONCE: Final = 8


@router.get("/report")
async def give_report(batch_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """The report of a filter: sums, failures by code, how the lines are spread, and lines with their pictures, evenly picked."""
    batch, index = await open_index(desk, viewer, batch_id)
    wanted = read_filter(request.query_params)
    found = await queries.numbers(index, wanted)
    lines = await queries.lines(index, evenly(list(found), MAX_LINES))
    try:
        spread = await distributions.facets(index, wanted)
    except UnavailableError:
        spread = []
    text = desk.pages.text(
        "report.html",
        batch=batch,
        filename=await filename_of(desk, batch),
        typed=write_typed(wanted),
        total=len(found),
        is_whole=index.is_whole,
        groups=await queries.failures(index, samples=0),
        spread=spread,
        lines=lines,
        pictures=await _pictures(desk, viewer, batch, lines),
        style=desk.assets.text("report.css"),
        now=desk.parts.now(),
    )
    headers = {"content-disposition": f'attachment; filename="{batch.id}.html"'}
    return Response(text, headers=headers, media_type="text/html")


def evenly(numbers: list[int], most: int) -> list[int]:
    """Return at most so many of them, from the first to the last with equal steps."""
    if len(numbers) <= most:
        return numbers
    return [numbers[round(place * (len(numbers) - 1) / (most - 1))] for place in range(most)]


async def _pictures(desk: Desk, viewer: Session, batch: Batch, lines: list[queries.Line]) -> dict[int, str]:
    """Return the first picture of each line as a ``data:`` URL; those that cannot be had, or are too much in all, are left out."""
    made: dict[int, str] = {}
    places = anyio.CapacityLimiter(_AT_ONCE)

    async def take(line: queries.Line) -> None:
        async with places:
            try:
                data, type_ = await small_picture(desk, viewer, Spot(batch.id, line.line, 0))
            except (ApiError, RequestError, OutageError):
                return
        made[line.line] = f"data:{type_};base64,{base64.b64encode(data).decode()}"

    with anyio.move_on_after(_SECONDS):
        async with anyio.create_task_group() as group:
            for line in lines:
                if line.pictures and line.code is None:
                    group.start_soon(take, line)
    return _fitting(made)


def _fitting(made: dict[int, str]) -> dict[int, str]:
    found: dict[int, str] = {}
    left = _PICTURES_BYTES
    for line in sorted(made):
        left -= len(made[line])
        if left < 0:
            break
        found[line] = made[line]
    return found
