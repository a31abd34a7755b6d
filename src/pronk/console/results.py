"""The lines of a batch: a list and a grid of any filter, one line with everything, facets, jumps."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response

from pronk.console import raw
from pronk.console.batch import filename_of, find_batch
from pronk.console.desk import Desk, TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.index import alike, distributions, queries
from pronk.console.index.answers import json_of
from pronk.console.index.columns import label_of
from pronk.console.index.filters import Filter
from pronk.console.index.groups import can_group, groups, place_in
from pronk.console.index.shelf import Index
from pronk.console.index.typed import read_filter, write_term, write_typed
from pronk.console.session import Session
from pronk.domain.batch import Batch
from pronk.domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from pronk.domain.ids import ProjectId

router = APIRouter(prefix="/batches/{batch_id}", route_class=Guarded, include_in_schema=False)

MAX_CELLS: Final = 120
MAX_FIELDS: Final = 6
MAX_SHOWN: Final = 200


async def open_index(desk: Desk, viewer: Session, batch_id: str) -> tuple[Batch, Index]:
    """Return a batch of the caller's and its index, which has something in it where there is anything."""
    return await index_of(desk, viewer.project, batch_id)


async def index_of(desk: Desk, project: ProjectId, batch_id: str) -> tuple[Batch, Index]:
    """Return a batch of a project and its index likewise."""
    batch = await find_batch(desk, project, batch_id)
    index = desk.shelf.get(batch)
    await index.until_begun()
    store = desk.parts.store
    await index.learn(await store.marks.of_batch(project, batch.id), store.regions.find_region)
    return batch, index


@router.get("/results")
async def show_results(batch_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """The page, with the first lines in it; for a filter that cannot be read, what is wrong with it and no line."""
    batch, index = await open_index(desk, viewer, batch_id)
    fault, wanted = "", Filter()
    try:
        wanted = read_filter(request.query_params)
    except InvalidRequestError as error:
        fault = error.message
    return desk.pages.show(
        request,
        "results.html",
        400 if fault else 200,
        batch=batch,
        wanted=wanted,
        fault=fault,
        typed=request.query_params.get("filter", "") if fault else write_typed(wanted),
        chips=[(write_term(term), wanted.less(term).address()) for term in wanted.terms],
        by=_by(request),
        total=0 if fault else len(await queries.numbers(index, wanted)),
        is_whole=index.is_whole,
        filename=await filename_of(desk, batch),
        view=request.query_params.get("view", ""),
    )


@router.get("/rows")
async def show_rows(batch_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """Some lines of a filter, from a place on; how many there are stands in a header."""
    batch, index = await open_index(desk, viewer, batch_id)
    wanted = read_filter(request.query_params)
    found = await queries.numbers(index, wanted)
    at, count = _number(request, "at", 0), min(MAX_CELLS, _number(request, "n", 60))
    shown = await queries.lines(index, found[at : at + count])
    is_table = request.query_params.get("as") == "table"
    page = desk.pages.show(
        request,
        "results_cells.html" if is_table else "results_rows.html",
        batch=batch,
        columns=await columns_of(index) if is_table else [],
        lines=shown,
        at=at,
        parts=_parts_of(wanted.text),
        marks=await desk.parts.store.marks.of_batch(viewer.project, batch.id),
    )
    page.headers["x-total"] = str(len(found))
    page.headers["x-version"] = str(index.version)
    page.headers["x-whole"] = str(int(index.is_whole))
    return page


@router.get("/place")
async def find_place(batch_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> dict[str, int | None]:
    """Where a line stands in a filter, or the first failed one after it with ``failed=1``."""
    _, index = await open_index(desk, viewer, batch_id)
    wanted, line = read_filter(request.query_params), _number(request, "line", 0)
    found = await queries.numbers(index, wanted)
    if "failed" in request.query_params:
        both = wanted.without("state").toggled("state", "failed")
        failed = await queries.numbers(index, both)
        later = [number for number in failed if number > line]
        line = (later or list(failed) or [0])[0]
    if not found or not line:
        return {"place": None, "line": None}
    place = queries.place_of(found, line)
    return {"place": place, "line": found[place]}


@router.get("/facets")
async def show_facets(batch_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """What the lines of a filter have in common; may be slow, so it never comes with the lines."""
    batch, index = await open_index(desk, viewer, batch_id)
    wanted = read_filter(request.query_params)
    found: list[distributions.Spread] | None
    try:
        found = await distributions.facets(index, wanted)
    except UnavailableError:
        found = None
    return desk.pages.show(
        request,
        "results_facets.html",
        batch=batch,
        wanted=wanted,
        facets=found,
        by=_by(request),
        can_group=can_group,
        is_whole=index.is_whole,
        seen=index.feed.seen,
        counts=batch.counts,
    )


@router.get("/columns")
async def show_columns(batch_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """The heads of the table: how each column is spread, which is also how it is filtered."""
    batch, index = await open_index(desk, viewer, batch_id)
    wanted = read_filter(request.query_params)
    columns = await columns_of(index)
    try:
        found = await distributions.heads(index, wanted, columns)
    except UnavailableError:
        found = [distributions.Spread(name=name) for name in columns]
    return desk.pages.show(
        request, "results_columns.html", batch=batch, wanted=wanted, columns=found, by=_by(request)
    )


@router.get("/groups")
async def show_groups(batch_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """The groups of a filter by one name, and the ones before and after the group that is shown."""
    batch, index = await open_index(desk, viewer, batch_id)
    wanted, by = read_filter(request.query_params), _by(request)
    if not by:
        raise InvalidRequestError(
            "'by' has to be a name whose values lines can be grouped by.", param="by", code="invalid_value"
        )
    found = await groups(index, wanted, by)
    at = place_in(found, wanted)
    rest = wanted.without(by)
    return desk.pages.show(
        request,
        "results_groups.html",
        batch=batch,
        by=by,
        label=label_of(by),
        groups=found,
        at=at,
        all=rest.address(),
        addresses=[rest.plus(group.term).address() for group in found[:MAX_SHOWN]],
        before=rest.plus(found[at - 1].term).address() if at else None,
        after=rest.plus(found[0 if at is None else at + 1].term).address()
        if found and (at is None or at + 1 < len(found))
        else None,
        is_whole=index.is_whole,
    )


@router.get("/lines/{number}")
async def show_line(batch_id: str, number: int, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """One line: pictures, what was said, what was answered, how long it took."""
    batch, index = await open_index(desk, viewer, batch_id)
    line = await queries.find_line(index, number)
    if line is None:
        raise NotFoundError(f"Line {number} of this batch is not known.", param="line", code="not_found")
    asked = await raw.request_of(desk.parts, batch, line)
    told = await raw.result_of(desk.parts, batch, number)
    answer = raw.answer_of(told)
    return desk.pages.show(
        request,
        "line.html",
        batch=batch,
        line=line,
        messages=raw.messages_of(asked, batch.endpoint),
        answer=answer,
        tree=raw.tree_of(json_of(answer)) if answer else None,
        asked=raw.pretty(asked),
        told=raw.pretty(told),
        mark=(await desk.parts.store.marks.of_batch(viewer.project, batch.id)).get(number),
        times=_times(line),
        wanted=read_filter(request.query_params),
    )


@router.get("/lines/{number}/alike")
async def show_alike(batch_id: str, number: int, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """Lines that are like one line; asked for on purpose, because it reads every answer."""
    batch, index = await open_index(desk, viewer, batch_id)
    line = await queries.find_line(index, number)
    if line is None:
        raise NotFoundError(f"Line {number} of this batch is not known.", param="line", code="not_found")
    return desk.pages.show(
        request,
        "line_alike.html",
        batch=batch,
        line=line,
        answers=await alike.answers(index, number),
        pictures=await alike.pictures(index, line),
        is_whole=index.is_whole,
    )


@router.post("/lines/{number}/mark")
async def set_mark(
    batch_id: str, number: int, request: Request, desk: TheDesk, viewer: Viewer
) -> dict[str, Any]:
    """Mark a line, or take its mark away."""
    batch = await find_batch(desk, viewer.project, batch_id)
    if not 1 <= number <= batch.counts.total:
        raise NotFoundError(f"This batch has no line {number}.", param="line", code="not_found")
    text = str((msgspec.json.decode(await request.body() or b"{}") or {}).get("mark") or "")[:40].strip()
    await desk.parts.store.marks.put(viewer.project, batch.id, number, text or None, now=desk.parts.second)
    return {"line": number, "mark": text or None}


async def columns_of(index: Index) -> list[str]:
    """Return what the table has a column for: id, outcome, the fields that most answers have or else the answer, and what was measured."""
    fields = [field.name for field in await distributions.fields(index)][:MAX_FIELDS]
    return ["custom_id", "code", *(fields or ["answer"]), "output_tokens", "engine_ms", "bytes"]


def _by(request: Request) -> str:
    """Return the name that lines are grouped by, empty when they are not."""
    by = request.query_params.get("by", "")
    return by if can_group(by) else ""


def _times(line: queries.Line) -> list[tuple[str, int, float, float]]:
    """Return each stage with its milliseconds, and where it begins and how long it is of 1000."""
    stages = [("fetch", line.fetch_ms or 0), ("engine", line.engine_ms or 0)]
    whole, at = max(1, sum(ms for _, ms in stages)), 0.0
    found: list[tuple[str, int, float, float]] = []
    for name, ms in stages:
        found.append((name, ms, at, 1000 * ms / whole))
        at += 1000 * ms / whole
    return found


def _parts_of(text: str) -> Any:
    """Return what cuts a text into pieces, every second one of which is to be marked as found."""
    wanted = text.lower()

    def cut(given: str | None) -> list[str]:
        given, at = given or "", 0
        found: list[str] = []
        low = given.lower()
        while wanted and len(low) == len(given) and len(found) < 60:
            hit = low.find(wanted, at)
            if hit < 0:
                break
            found += [given[at:hit], given[hit : hit + len(wanted)]]
            at = hit + len(wanted)
        return [*found, given[at:]]

    return cut


def _number(request: Request, name: str, usual: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else usual
