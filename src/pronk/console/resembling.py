"""Pictures that look like one line's, found by their looks; some at a time, because each has to be fetched."""

from __future__ import annotations

from typing import Final

import anyio
import msgspec
from fastapi import APIRouter, Request, Response

from pronk.console.desk import Desk, TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.index import queries
from pronk.console.index.filters import Term
from pronk.console.index.looks import EDGE, NEAR, differing
from pronk.console.index.shelf import Index
from pronk.console.index.typed import read_filter
from pronk.console.pictures import Spot, small_picture
from pronk.console.results import open_index
from pronk.console.session import Session
from pronk.domain.batch import Batch
from pronk.domain.errors import ApiError, NotFoundError, OutageError, RequestError

router = APIRouter(prefix="/batches/{batch_id}", route_class=Guarded, include_in_schema=False)

AT_A_TIME: Final = 400
MAX_SHOWN: Final = 60
_SECONDS: Final = 20.0
_AT_ONCE: Final = 8
_PICTURED: Final = (Term("pictures", "min", "1"),)


class Near(msgspec.Struct, frozen=True):
    """A line whose first picture looks like another's: in `bits` of 64 it does not."""

    line: int
    bits: int


@router.get("/lines/{number}/resembling")
async def show_resembling(
    batch_id: str, number: int, request: Request, desk: TheDesk, viewer: Viewer
) -> Response:
    """Lines of the filter whose pictures look like this line's, among those looked at so far and some hundred more."""
    batch, index = await open_index(desk, viewer, batch_id)
    wanted = read_filter(request.query_params)
    rows = await queries.numbers(index, wanted.plus(*_PICTURED))
    await _look(desk, viewer, batch, index, [number, *rows])
    mine = index.looks.get(number)
    if mine is None:
        raise NotFoundError(
            f"Line {number} has no picture that can be looked at.", param="line", code="not_found"
        )
    looked = [line for line in rows if line in index.looks and line != number]
    near = [Near(line, differing(mine, look)) for line in looked if (look := index.looks[line]) is not None]
    found = sorted((one for one in near if one.bits <= NEAR), key=lambda one: (one.bits, one.line))
    return desk.pages.show(
        request,
        "line_resembling.html",
        batch=batch,
        number=number,
        wanted=wanted,
        found=found[:MAX_SHOWN],
        total=len(found),
        looked=len(looked),
        all=len(rows) - (number in rows),
    )


async def _look(desk: Desk, viewer: Session, batch: Batch, index: Index, rows: list[int]) -> None:
    """Look at the next of these lines that nobody looked at yet; what cannot be had has no look."""
    todo = list(dict.fromkeys(line for line in rows if line not in index.looks))[:AT_A_TIME]
    pictures: list[tuple[int, bytes]] = []
    places = anyio.CapacityLimiter(_AT_ONCE)

    async def take(line: int) -> None:
        async with places:
            try:
                data, _ = await small_picture(desk, viewer, Spot(batch.id, line, 0), edge=EDGE)
            except (ApiError, RequestError):
                data = b""
            except OutageError:
                return
        pictures.append((line, data))

    with anyio.move_on_after(_SECONDS):
        async with anyio.create_task_group() as group:
            for line in todo:
                group.start_soon(take, line)
    if pictures:
        index.looks.update(await desk.shelf.looks_of(index, pictures))
