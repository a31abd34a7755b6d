"""The first page: all batches, live, searched and filtered, and what they did together."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from pronk.console.desk import Desk, TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.live import stream
from pronk.console.session import Session
from pronk.console.totals import RANGES, Span, chart, course, read_span, sum_up
from pronk.domain.batch import BatchStatus
from pronk.domain.ids import ProjectId
from pronk.store.overview import Found, Search

router = APIRouter(route_class=Guarded, include_in_schema=False)

PAGE = 50
SUM_SECONDS = 5.0
"""How often the sums of all batches are asked for while the list is open; its rows are right every second."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for; everything of it stands there, so that it can be kept and shared."""

    q: str = ""
    status: str = ""
    job: str = ""
    after: str = ""
    range: str = "7d"
    first: str = ""
    last: str = ""

    def address(self, **changes: str) -> str:
        """Return the query of the same wish with changes; what is usual is left out."""
        wanted = {**msgspec.structs.asdict(self), "after": "", **changes}
        usual = msgspec.structs.asdict(Wish())
        return urlencode({name: value for name, value in wanted.items() if value != usual[name]})


async def read_wish(request: Request) -> Wish:
    """Return the wish of an address; what it does not know is left alone."""
    known = {name: request.query_params.get(name, "")[:200] for name in Wish.__struct_fields__}
    return Wish(**{name: value for name, value in known.items() if value})


TheWish = Annotated[Wish, Depends(read_wish)]


@router.get("/")
async def show_batches(request: Request, wish: TheWish, desk: TheDesk, viewer: Viewer) -> Response:
    """The list."""
    found = await _search(desk, viewer.project, wish)
    more = len(found) > PAGE
    return desk.pages.show(
        request,
        "batches.html",
        wish=wish,
        rows=[_row(desk, one) for one in found[:PAGE]],
        more=found[PAGE - 1].batch.id if more else None,
        statuses=[str(status) for status in BatchStatus],
        ranges=list(RANGES),
        views=await desk.parts.store.views.of_project(viewer.project),
        jobs=sorted({one.batch.job.id for one in found} | set(desk.parts.settings.jobs)),
        **await _totals(desk, viewer.project, wish),
    )


@router.get("/live/batches")
async def follow_batches(wish: TheWish, desk: TheDesk, viewer: Viewer) -> Response:
    """The rows and sums of the list, while they change."""
    kept = _Kept()

    async def pieces() -> dict[str, str]:
        return await _pieces(desk, viewer, wish, kept)

    return stream(desk, pieces)


@router.get("/palette")
async def find_places(request: Request, desk: TheDesk, viewer: Viewer) -> list[dict[str, str]]:
    """Batches that a few letters may mean."""
    text = request.query_params.get("q", "")[:100]
    found = await desk.parts.store.overview.search(viewer.project, Search(text=text, limit=8))
    return [
        {
            "text": f"{one.filename or one.batch.id} · {one.batch.job.id}",
            "hint": str(one.batch.status),
            "path": f"/batches/{one.batch.id}",
        }
        for one in found
    ]


class _Kept(msgspec.Struct):
    """What a stream has made: each row with what it shows, and the sums with when they were asked for."""

    rows: dict[str, tuple[dict[str, Any], str]] = {}
    totals: str = ""
    at: float = 0.0


async def _pieces(desk: Desk, viewer: Session, wish: Wish, kept: _Kept) -> dict[str, str]:
    found = (await _search(desk, viewer.project, wish))[:PAGE]
    kept.rows = {f"row-{one.batch.id}": _row_text(desk, one, kept) for one in found}
    newest = found[0].batch.id if found and not wish.after else ""
    now = desk.parts.now()
    if not 0 <= now - kept.at < SUM_SECONDS:
        kept.at = now
        kept.totals = desk.pages.text("batches_totals.html", **await _totals(desk, viewer.project, wish))
    rows = {name: text for name, (_, text) in kept.rows.items()}
    return {**rows, "totals": kept.totals, "newest": newest}


def _row_text(desk: Desk, found: Found, kept: _Kept) -> tuple[dict[str, Any], str]:
    """Return what a row shows and its text, which is made anew only when that is something else."""
    values = _row(desk, found)
    had = kept.rows.get(f"row-{found.batch.id}")
    if had is not None and had[0] == values:
        return had
    return values, desk.pages.text("batches_row.html", **values)


def _row(desk: Desk, found: Found) -> dict[str, Any]:
    pace = desk.paces.look(found.batch, desk.parts.now())
    price = found.batch.job.price
    cost = price.cost(found.batch.usage) if price else None
    return {"batch": found.batch, "filename": found.filename, "pace": pace, "cost": cost}


async def _search(desk: Desk, project: ProjectId, wish: Wish) -> list[Found]:
    search = Search(
        after=wish.after or None,
        limit=PAGE + 1,
        status=wish.status or None,
        job_id=wish.job or None,
        text=wish.q or None,
    )
    return await desk.parts.store.overview.search(project, search)


async def _totals(desk: Desk, project: ProjectId, wish: Wish) -> dict[str, Any]:
    now = desk.parts.now()
    span: Span = read_span(wish.range, wish.first, wish.last, now)
    sums = await desk.parts.store.overview.sums(project, since=span.since, until=span.until, step=span.step)
    steps = course(sums, span, now)
    drawing = msgspec.json.encode(chart(steps)).decode()
    return {"span": span, "totals": sum_up(sums), "steps": steps, "drawing": drawing}
