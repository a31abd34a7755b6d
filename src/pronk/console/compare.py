"""Two batches over the same inputs: lines matched by custom_id, what changed first, and how the values of a field went over."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from typing import Any, Final
from urllib.parse import urlencode

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Request, Response

from pronk.console.desk import Desk, TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.index import queries
from pronk.console.index.shelf import Index
from pronk.console.results import open_index
from pronk.console.session import Session
from pronk.store.overview import Search

router = APIRouter(prefix="/compare", route_class=Guarded, include_in_schema=False)

PAGE: Final = 30
KINDS: Final = ("changed", "same", "left", "right")


class Pair(msgspec.Struct, frozen=True):
    """Line numbers of the same custom_id in both batches, and whether their answers are the same."""

    left: int | None
    right: int | None
    kind: str


class Comparison(msgspec.Struct, frozen=True):
    """All pairs, in the order of the left batch, then what only the right one has."""

    pairs: tuple[Pair, ...]

    def of(self, kind: str) -> list[Pair]:
        """Return the pairs of one kind."""
        return [pair for pair in self.pairs if pair.kind == kind]


@router.get("")
async def show_comparison(request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """The page; without two batches, the choice of them."""
    left, right = request.query_params.get("left", ""), request.query_params.get("right", "")
    choice = await desk.parts.store.overview.search(viewer.project, Search(limit=100))
    if not (left and right):
        return desk.pages.show(request, "compare.html", choice=choice, left=left, right=right, found=None)
    values = await _compared(request, desk, viewer, (left, right))
    return desk.pages.show(request, "compare.html", choice=choice, left=left, right=right, **values)


async def _compared(request: Request, desk: Desk, viewer: Session, ids: tuple[str, str]) -> dict[str, Any]:
    (one, first), (other, second) = [await open_index(desk, viewer, batch_id) for batch_id in ids]
    found = await compare(first, second)
    kind = request.query_params.get("kind", "changed")
    kind = kind if kind in KINDS else "changed"
    after = request.query_params.get("after", "")
    start = int(after) if after.isascii() and after.isdecimal() and len(after) < 8 else 0
    wanted = found.of(kind)
    fields = await _fields(first, second)
    field = request.query_params.get("field", "")
    field = field if field in fields else (fields[0] if fields else "")
    return {
        "found": found,
        "counts": {name: len(found.of(name)) for name in KINDS},
        "kind": kind,
        "rows": await _rows((first, second), wanted[start : start + PAGE]),
        "more": start + PAGE if len(wanted) > start + PAGE else None,
        "fields": fields,
        "field": field,
        "confusion": await _confusion((first, second), field) if field else None,
        "is_whole": first.is_whole and second.is_whole,
        "batches": (one, other),
        "address": lambda **more: urlencode({"left": ids[0], "right": ids[1], "kind": kind, **more}),
    }


async def compare(first: Index, second: Index) -> Comparison:
    """Match the lines of two batches; of equal ids the earlier line counts."""
    query = "SELECT custom_id, line, md5(state || COALESCE(code, '') || COALESCE(answer, '')) FROM lines ORDER BY line DESC"
    left, right = await first.table.ask(query), await second.table.ask(query)
    return await anyio.to_thread.run_sync(_match, left, right)


def _match(left: list[tuple[Any, ...]], right: list[tuple[Any, ...]]) -> Comparison:
    others = {row[0]: row for row in right}
    pairs: list[Pair] = []
    for name, line, digest in reversed(left):
        other = others.pop(name, None)
        if other is None:
            pairs.append(Pair(line, None, "left"))
        else:
            pairs.append(Pair(line, other[1], "same" if other[2] == digest else "changed"))
    pairs += [Pair(None, row[1], "right") for row in sorted(others.values(), key=lambda row: row[1])]
    return Comparison(tuple(pairs))


async def _rows(indexes: tuple[Index, Index], pairs: list[Pair]) -> list[dict[str, Any]]:
    left = {
        line.line: line
        for line in await queries.lines(indexes[0], [pair.left for pair in pairs if pair.left])
    }
    right = {
        line.line: line
        for line in await queries.lines(indexes[1], [pair.right for pair in pairs if pair.right])
    }
    found = []
    for pair in pairs:
        one, other = left.get(pair.left or 0), right.get(pair.right or 0)
        found.append({"left": one, "right": other, "diff": _diff(one, other)})
    return found


def _diff(one: queries.Line | None, other: queries.Line | None) -> list[tuple[str, str, str]]:
    """Return what differs: fields by their path, or else words, as (path, left, right)."""
    if one is None or other is None:
        return []
    if one.fields and other.fields:
        names = sorted(one.fields.keys() | other.fields.keys())
        pairs = [
            (name, one.fields.get(name, "(missing)"), other.fields.get(name, "(missing)")) for name in names
        ]
        return [pair for pair in pairs if pair[1] != pair[2]]
    return _words(_said(one), _said(other))


def _words(left: str, right: str) -> list[tuple[str, str, str]]:
    a, b = left.split(), right.split()
    found = []
    for what, a1, a2, b1, b2 in SequenceMatcher(None, a[:400], b[:400], autojunk=False).get_opcodes():
        same = what == "equal"
        found.append(("=" if same else "", " ".join(a[a1:a2]), "" if same else " ".join(b[b1:b2])))
    return found


def _said(line: queries.Line) -> str:
    return (line.answer or "") if line.code is None else f"{line.code}: {line.message or ''}"


async def _fields(first: Index, second: Index) -> list[str]:
    """Return the answer fields that have few enough values to be told apart."""
    query = (
        "SELECT name FROM pairs "
        "GROUP BY name HAVING COUNT(DISTINCT value) BETWEEN 2 AND 20 ORDER BY COUNT(*) DESC LIMIT 20"
    )
    left, right = await first.table.ask(query), await second.table.ask(query)
    return [row[0] for row in left if row in right]


async def _confusion(indexes: tuple[Index, Index], field: str) -> dict[str, Any]:
    query = "SELECT custom_id, fields[?] FROM lines WHERE fields[?] IS NOT NULL"
    left = dict(await indexes[0].table.ask(query, [field, field]))
    right = dict(await indexes[1].table.ask(query, [field, field]))
    pairs = Counter((left[name], right[name]) for name in left.keys() & right.keys())
    values = sorted({value for pair in pairs for value in pair})[:20]
    same = sum(count for pair, count in pairs.items() if pair[0] == pair[1])
    return {"values": values, "pairs": pairs, "same": same, "all": sum(pairs.values())}
