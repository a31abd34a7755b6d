"""Pictures of lines, through the server: small ones for lists, whole ones for looking. Never straight from the bucket.

What a line may show is what its batch's job may read; limits, guards and caches are those of every fetch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from pronk.console import raw
from pronk.console.batch import find_batch
from pronk.console.desk import Desk, TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.index import queries
from pronk.console.session import Session
from pronk.domain.errors import NotFoundError
from pronk.domain.reference import parse_reference
from pronk.media.thumbs import Wanted

router = APIRouter(
    prefix="/batches/{batch_id}/lines/{number}/pictures/{place}", route_class=Guarded, include_in_schema=False
)

THUMB_EDGE: Final = 256
THUMB_BYTES: Final = 15_000
LARGE_EDGE: Final = 2048
LARGER_EDGES: Final = {"4096": 4096, "8192": 8192}
_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; sandbox",
    "content-disposition": "inline",
    "cache-control": "private, max-age=86400, immutable",
}


@dataclass(frozen=True)
class Spot:
    """Which picture: of a batch, of a line, at which place of it from 0."""

    batch_id: str
    number: int
    place: int

    def etag(self, form: str) -> str:
        """Return the tag of one of its forms; an input file never changes."""
        return f'"{self.batch_id}.{self.number}.{self.place}.{form}"'


@router.get("/thumb")
async def show_thumb(
    spot: Annotated[Spot, Depends()], request: Request, desk: TheDesk, viewer: Viewer
) -> Response:
    """A picture of at most 256 pixels and 15 kB."""
    etag = spot.etag(str(THUMB_EDGE))
    if request.headers.get("if-none-match") == etag:
        await find_batch(desk, viewer.project, spot.batch_id)
        return Response(status_code=304, headers={**_HEADERS, "etag": etag})
    return as_picture(*await small_picture(desk, viewer, spot), etag)


@router.get("/full")
async def show_full(
    spot: Annotated[Spot, Depends()], request: Request, desk: TheDesk, viewer: Viewer
) -> Response:
    """The picture at most 2048 pixels long, with ``size`` 4096 or 8192, or ``whole`` as it is."""
    wanted, size = await _wanted(desk, viewer, spot), request.query_params.get("size", "")
    if size == "whole":
        return as_picture(*await desk.thumbs.whole(wanted), spot.etag("whole"))
    edge = LARGER_EDGES.get(size, LARGE_EDGE)
    return as_picture(
        *await desk.thumbs.small(msgspec.structs.replace(wanted, edge=edge)), spot.etag(str(edge))
    )


async def small_picture(
    desk: Desk, viewer: Session, spot: Spot, *, edge: int = THUMB_EDGE
) -> tuple[bytes, str]:
    """Return a picture of at most `edge` pixels and about 15 kB, and its type. Raises NotFoundError and MediaError."""
    wanted = await _wanted(desk, viewer, spot)
    data, type_ = await desk.thumbs.small(msgspec.structs.replace(wanted, edge=edge, max_bytes=THUMB_BYTES))
    if type_ not in _TYPES:
        raise NotFoundError("This is not a picture that can be shown.", code="not_found")
    return data, type_


async def _wanted(desk: Desk, viewer: Session, spot: Spot) -> Wanted:
    """Return the picture at a place of a line. Raises NotFoundError, or MediaError for a malformed reference."""
    batch = await find_batch(desk, viewer.project, spot.batch_id)
    index = desk.shelf.get(batch)
    await index.until_begun()
    line = await queries.find_line(index, spot.number)
    asked = await raw.request_of(desk.parts, batch, line) if line is not None else b""
    found = raw.pictures_of(asked, batch.endpoint)
    if not 0 <= spot.place < len(found) or found[spot.place].kind != "image":
        raise NotFoundError("This line has no such picture.", code="not_found")
    return Wanted(
        reference=parse_reference(found[spot.place].text, "image"),
        policy=msgspec.structs.replace(batch.job.media, resize_to_pixels=0),
        project=viewer.project,
        since=float(batch.created_at),
        edge=LARGE_EDGE,
    )


def as_picture(data: bytes, type_: str, etag: str) -> Response:
    """Return the answer that shows a picture and nothing else. Raises NotFoundError for what browsers do not show as one."""
    if type_ not in _TYPES:
        raise NotFoundError("This is not a picture that can be shown.", code="not_found")
    return Response(data, headers={**_HEADERS, "etag": etag}, media_type=type_)
