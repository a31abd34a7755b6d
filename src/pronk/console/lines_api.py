"""Lines of a batch for programs: the console's filters, counts and groups as JSON routes beside the API's own."""

from __future__ import annotations

from bisect import bisect_right
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request, Response

from pronk.api import documented, schemas
from pronk.api.auth import Caller
from pronk.console.desk import TheDesk
from pronk.console.index import distributions, queries
from pronk.console.index.filters import Filter
from pronk.console.index.groups import can_group, groups
from pronk.console.index.shelf import Index
from pronk.console.index.typed import read_filter, write_typed
from pronk.console.results import index_of
from pronk.domain.errors import InvalidRequestError

router = APIRouter(prefix="/v1/batches/{batch_id}/lines", tags=["Lines"])

MAX_GROUPS: Final = 1000
_HIDDEN: Final = frozenset({"start", "size"})
_FILTER: Final = (
    'Which lines: `code:timeout output_tokens>=100 field.shape~round -has:field.score "two words"`. '
    "The names and forms are those of the console (docs/console.md); its addresses' own parameters are taken, too."
)
Typed = Annotated[str, Query(alias="filter", max_length=4000, description=_FILTER)]


@router.get("", response_model=schemas.FilteredLines, responses=documented.LOOKING)
async def list_lines(
    batch_id: str,
    request: Request,
    desk: TheDesk,
    project: Caller,
    *,
    _typed: Typed = "",
    after: Annotated[int, Query(ge=0, le=10**9, description="The line after which to begin.")] = 0,
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
) -> Response:
    """List the lines of a filter in input order, while the batch runs and afterwards. `limit=0` counts only."""
    batch, index = await index_of(desk, project, batch_id)
    wanted = read_filter(request.query_params)
    found = await queries.numbers(index, wanted)
    start = bisect_right(found, after)
    shown = await queries.lines(index, found[start : start + limit])
    marks = await desk.parts.store.marks.of_batch(project, batch.id)
    data = [_line(line, marks.get(line.line)) for line in shown]
    more = {
        "total": len(found),
        "last_line": shown[-1].line if shown else None,
        "has_more": start + limit < len(found),
    }
    return _answer(index, wanted, data, **more)


@router.get("/spread", response_model=schemas.SpreadList, responses=documented.LOOKING)
async def spread_lines(
    batch_id: str, request: Request, desk: TheDesk, project: Caller, _typed: Typed = ""
) -> Response:
    """Count the most frequent values and the bins of everything that tells lines apart, each under all other conditions of the filter."""
    _, index = await index_of(desk, project, batch_id)
    wanted = read_filter(request.query_params)
    return _answer(index, wanted, [_spread(one, wanted) for one in await distributions.facets(index, wanted)])


@router.get("/groups", response_model=schemas.LineGroups, responses=documented.LOOKING)
async def group_lines(
    batch_id: str,
    request: Request,
    desk: TheDesk,
    project: Caller,
    by: Annotated[
        str,
        Query(
            max_length=200,
            description="A name whose values lines are grouped by, such as `code` or `field.shape`.",
        ),
    ],
    _typed: Typed = "",
) -> Response:
    """Count the lines of a filter by one name, the largest group first, what has nothing last."""
    if not can_group(by):
        raise InvalidRequestError(
            f"'by' is {by[:60]!r}, which lines cannot be grouped by; it has to be a name with values or field.PATH.",
            param="by",
            code="invalid_value",
        )
    _, index = await index_of(desk, project, batch_id)
    wanted = read_filter(request.query_params)
    found, rest = await groups(index, wanted, by), wanted.without(by)
    data = [
        {"value": one.value, "count": one.count, "filter": write_typed(rest.plus(one.term))}
        for one in found[:MAX_GROUPS]
    ]
    return _answer(index, wanted, data, by=by, kinds=len(found))


def _line(line: queries.Line, mark: str | None) -> dict[str, Any]:
    return {
        **{name: value for name, value in msgspec.structs.asdict(line).items() if name not in _HIDDEN},
        "mark": mark,
    }


def _spread(one: distributions.Spread, wanted: Filter) -> dict[str, Any]:
    rest = wanted.without(one.name)
    return {
        "name": one.name,
        "kinds": one.kinds,
        "values": [
            {
                "value": each.value,
                "count": each.count,
                "filter": write_typed(rest.toggled(one.name, each.value)),
            }
            for each in one.values
        ],
        "bins": [
            {
                "low": each.low,
                "high": each.high,
                "count": each.count,
                "filter": write_typed(rest.plus(*each.terms(one.name))),
            }
            for each in one.bins
        ],
    }


def _answer(index: Index, wanted: Filter, data: list[Any], **more: Any) -> Response:
    told = {"object": "list", "filter": write_typed(wanted), "is_whole": index.is_whole, **more, "data": data}
    return Response(msgspec.json.encode(told), media_type="application/json")
