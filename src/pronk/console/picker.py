"""Pictures chosen from a bucket for a new batch: one level of folders at a time, and everything below one.

What is listed and shown is what the job of the batch may read, by the same policy as its requests.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from pronk.api.catalog import Catalog
from pronk.console.desk import Desk, TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.pictures import THUMB_BYTES, THUMB_EDGE, as_picture
from pronk.console.session import Session
from pronk.domain.errors import InvalidRequestError, PermissionDeniedError
from pronk.domain.job import Job
from pronk.media.listing import Entry
from pronk.media.policy import may_hold
from pronk.media.thumbs import Wanted
from pronk.media.whole import reference_of

router = APIRouter(prefix="/new", route_class=Guarded, include_in_schema=False)

PAGE: Final = 60
DEEP_PAGE: Final = 1000
FRESH_SECONDS: Final = 300
"""How old a picture may be here; a browser asks for the same again and again while somebody chooses."""
PICTURES: Final = frozenset(
    {"png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "pdf"}
)


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody looks, and for which job."""

    job: Job
    at: str
    after: str

    @property
    def root(self) -> str:
        """The bucket, as references begin."""
        scheme, _, rest = self.at.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}/"

    @property
    def steps(self) -> list[tuple[str, str]]:
        """The folders on the way here, each with where it is."""
        names = [name for name in self.at.removeprefix(self.root).split("/") if name]
        whole = self.at.endswith("/") or not names
        names = names if whole else names[:-1]
        paths = [
            self.root + "".join(f"{name}/" for name in names[: count + 1]) for count in range(len(names))
        ]
        return list(zip(names, paths, strict=True))


async def read_spot(request: Request, desk: TheDesk, viewer: Viewer) -> Spot:
    """Return what the address names. Raises PermissionDeniedError for who cannot make batches anyway."""
    if not viewer.can_write:
        raise PermissionDeniedError("This key may only read; buckets are listed for new batches.")
    query = request.query_params
    at = query.get("at", "").strip()
    if "://" in at and "/" not in at.partition("://")[2]:
        at += "/"
    return Spot(job=await _job(desk, viewer, request), at=at, after=query.get("after", ""))


TheSpot = Annotated[Spot, Depends(read_spot)]


@router.get("/level")
async def show_level(spot: TheSpot, request: Request, desk: TheDesk) -> Response:
    """Folders and pictures right below a prefix; without one, the buckets that the job and the settings name."""
    if not spot.at:
        return desk.pages.show(request, "new_buckets.html", buckets=known_buckets(spot.job, desk))
    found = await desk.objects.level(spot.at, spot.job.media, spot.after, count=PAGE)
    return desk.pages.show(
        request,
        "new_level.html",
        spot=spot,
        level=found,
        folders=[(name[:-1].rpartition("/")[2], spot.root + name) for name in found.folders],
        objects=[(entry, spot.root + entry.key, is_picture(entry)) for entry in found.entries],
    )


@router.get("/keys")
async def list_below(spot: TheSpot, desk: TheDesk) -> dict[str, Any]:
    """The pictures on all levels below a prefix, a thousand at a time; `left_out` are objects that are none."""
    found = await desk.objects.level(spot.at, spot.job.media, spot.after, count=DEEP_PAGE, is_deep=True)
    pictures = [spot.root + entry.key for entry in found.entries if is_picture(entry)]
    left_out = len(found.entries) - len(pictures) + found.hidden
    most = desk.parts.settings.max_lines
    return {"references": pictures, "after": found.after, "left_out": left_out, "most": most}


@router.get("/thumb")
async def show_thumb(spot: TheSpot, desk: TheDesk, viewer: Viewer) -> Response:
    """A small picture of an object that a job may read."""
    reference = msgspec.structs.replace(reference_of(spot.at, spot.job.media), kind="image")
    since = desk.parts.second // FRESH_SECONDS * FRESH_SECONDS - FRESH_SECONDS
    wanted = Wanted(
        reference=reference,
        policy=msgspec.structs.replace(spot.job.media, resize_to_pixels=0),
        project=viewer.project,
        since=float(since),
        edge=THUMB_EDGE,
        max_bytes=THUMB_BYTES,
    )
    answer = as_picture(*await desk.thumbs.small(wanted), f'"{since}"')
    answer.headers["cache-control"] = f"private, max-age={FRESH_SECONDS}"
    return answer


def known_buckets(job: Job, desk: Desk) -> list[str]:
    """Return the buckets, or prefixes of them, that are named where a job's list and the settings name any."""
    lists = job.media.lists
    named = (
        [glob for globs in lists for glob in globs if glob.startswith(("s3://", "gs://", "az://"))]
        if lists
        else [f"s3://{rule.match}" for rule in desk.parts.settings.buckets]
    )
    found = [_plain(glob) for glob in named]
    return list(
        dict.fromkeys(place for place in found if place and all(may_hold(place, globs) for globs in lists))
    )


def is_picture(entry: Entry) -> bool:
    """Return whether an object's name is that of a picture or document, and it is not empty."""
    return entry.size > 0 and entry.key.rpartition(".")[2].lower() in PICTURES


def _plain(glob: str) -> str | None:
    """Return the folder that a glob begins with, None where even its bucket is not certain."""
    scheme, _, rest = glob.partition("://")
    plain = rest.split("*", 1)[0].split("?", 1)[0]
    if "/" not in plain:
        return f"{scheme}://{plain}/" if plain == rest else None
    return f"{scheme}://{plain.rpartition('/')[0]}/"


async def _job(desk: Desk, viewer: Session, request: Request) -> Job:
    """Return the job that the form names, else the one that its model means."""
    catalog = Catalog.of(desk.parts, viewer.project)
    named, model = request.query_params.get("job", ""), request.query_params.get("model", "")
    if named:
        return (await catalog.get(named)).job
    found = await catalog.find_for_model(model or None)
    if found is None:
        raise InvalidRequestError(
            "Choose a job first: what may be listed is what a job may read.",
            param="job",
            code="job_not_found",
        )
    return found
