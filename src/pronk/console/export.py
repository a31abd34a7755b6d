"""Exactly the lines of a filter, to take along: as Parquet, CSV or JSON lines, or as a new input file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import anyio
import msgspec
from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from pronk.api.parts import ApiParts
from pronk.console.desk import TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.index import queries
from pronk.console.index.typed import read_filter
from pronk.console.results import open_index
from pronk.domain.errors import ConflictError, InvalidRequestError
from pronk.domain.file import File

router = APIRouter(prefix="/batches/{batch_id}", route_class=Guarded, include_in_schema=False)

_FORMATS: Final = {
    "parquet": ("FORMAT parquet, COMPRESSION zstd", "application/vnd.apache.parquet"),
    "csv": ("FORMAT csv, HEADER", "text/csv"),
    "jsonl": ("FORMAT json", "application/x-ndjson"),
}
_COLUMNS: Final = (
    "line, custom_id, state, code, message, answer, to_json(fields)::VARCHAR AS fields, refs, input_tokens, output_tokens, "
    "tries, fetch_ms, engine_ms, replica, ended_at, bytes, width, height, type, "
    "(?::VARCHAR[])[list_position(?::BIGINT[], line)] AS mark"
)
_SECONDS: Final = 60.0
_CHUNK: Final = 1024 * 1024
_SPAN: Final = 4 * 1024 * 1024


@router.get("/export")
async def export_lines(batch_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """A file with the lines of a filter. While lines are still read it would lack some, and is refused."""
    kind = request.query_params.get("as", "parquet")
    if kind != "input" and kind not in _FORMATS:
        raise InvalidRequestError(
            f"'as' has to be one of input, {', '.join(_FORMATS)}.", param="as", code="invalid_value"
        )
    batch, index = await open_index(desk, viewer, batch_id)
    if batch.is_terminal and not index.is_whole:
        raise ConflictError(
            "The lines of this batch are still being read; try again in a moment.", code="not_ready"
        )
    wanted = read_filter(request.query_params)
    if kind == "input":
        file = await desk.parts.store.files.get(viewer.project, batch.input_file_id, now=desk.parts.second)
        spans = await queries.spans(index, wanted)
        return _download(_pieces(desk.parts, file, spans), f"{batch.id}_lines.jsonl", "application/jsonl")
    marks = await desk.parts.store.marks.of_batch(viewer.project, batch.id)
    where, values = wanted.condition()
    into = index.folder / f"export-{request.state.session.seed[:8].encode().hex()}-{desk.parts.now()}.{kind}"
    how, type_ = _FORMATS[kind]
    await index.table.ask(
        f"COPY (SELECT {_COLUMNS} FROM lines WHERE {where} ORDER BY line) TO '{into}' ({how})",  # noqa: S608 - our names
        [list(marks.values()), list(marks), *values],
        seconds=_SECONDS,
    )
    return _download(_file(anyio.Path(into)), f"{batch.id}.{kind}", type_)


def _download(pieces: AsyncIterator[bytes], name: str, type_: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, headers=headers, media_type=type_)


async def _file(path: anyio.Path) -> AsyncIterator[bytes]:
    """Yield a file that is gone afterwards."""
    try:
        async with await path.open("rb") as file:
            while data := await file.read(_CHUNK):
                yield data
    finally:
        with anyio.CancelScope(shield=True):
            await path.unlink(missing_ok=True)


async def _pieces(parts: ApiParts, file: File, spans: list[queries.Span]) -> AsyncIterator[bytes]:
    """Yield lines as they stand in the input file; neighbours are read together."""
    for span in _joined(spans):
        data = await parts.blobs.get_range(file.blob, span.start, span.length)
        yield data if data.endswith(b"\n") else data + b"\n"


def _joined(spans: list[queries.Span]) -> list[queries.Span]:
    found: list[queries.Span] = []
    for span in spans:
        last = found[-1] if found else None
        if last and last.start + last.length + 1 == span.start and last.length + span.length < _SPAN:
            found[-1] = msgspec.structs.replace(last, length=last.length + 1 + span.length)
        else:
            found.append(span)
    return found
