"""One prompt on pictures, for up to four jobs at once, answers as they come; by the same doors as requests of the API."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from pronk.api.catalog import Catalog
from pronk.api.now import read_body
from pronk.api.parts import ResolvedBody
from pronk.api.relay import Relay
from pronk.api.tokens import begin
from pronk.console import raw
from pronk.console.batch import find_batch
from pronk.console.compose import jobs_of
from pronk.console.desk import Desk, TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.index import queries
from pronk.console.session import Session
from pronk.domain.bodies import defaults_of, merge_defaults
from pronk.domain.errors import InvalidRequestError, UnavailableError

router = APIRouter(prefix="/playground", route_class=Guarded, include_in_schema=False)

CHAT = "/v1/chat/completions"


class _Plain(msgspec.Struct, frozen=True):
    """A body without references."""

    body: bytes

    def close(self) -> None:
        """Nothing to give back."""


@router.get("")
async def show_playground(request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """The page, with what a line of a batch asks when one is named."""
    given = await _line(request, desk, viewer)
    return desk.pages.show(
        request, "playground.html", jobs=await jobs_of(desk, viewer), given=given, models=await _models(desk)
    )


@router.post("/run/{job_id}")
async def run(job_id: str, request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """Answer a chat with one job; streamed as the engine gives it."""
    request.state.identity = viewer.identity
    tokens = await begin(request)
    job = (await Catalog.of(desk.parts, viewer.project).get(job_id)).job
    body = merge_defaults(
        _checked(await read_body(request, desk.parts.settings.max_line_bytes)), defaults_of(job)
    )
    pool = desk.parts.pools.get(job.engine)
    if pool is None:
        raise UnavailableError(f"The engine pool {job.engine!r} is not open here.", code="engine_unavailable")

    async def resolved() -> ResolvedBody:
        if not desk.parts.resolver.names_media(body):
            return _Plain(body)
        return await desk.parts.resolver.resolve(
            body, endpoint=CHAT, policy=job.media, project=viewer.project
        )

    return Relay(pool, CHAT, resolved, tokens)


async def _line(request: Request, desk: Desk, viewer: Session) -> dict[str, Any]:
    """Return the texts and references of the line that the address names."""
    batch_id, number = request.query_params.get("batch"), request.query_params.get("line", "")
    if not batch_id or not number.isdecimal():
        return {"system": "", "prompt": "", "references": [], "model": ""}
    batch = await find_batch(desk, viewer.project, batch_id)
    index = desk.shelf.get(batch)
    await index.until_begun()
    line = await queries.find_line(index, int(number))
    asked = await raw.request_of(desk.parts, batch, line) if line else b""
    said = raw.messages_of(asked, batch.endpoint)
    return {
        "system": _texts(said, "system"),
        "prompt": _texts(said, "user"),
        "references": [one.text for one in raw.pictures_of(asked, batch.endpoint) if len(one.text) < 4000],
        "model": batch.model or "",
    }


def _texts(said: list[raw.Said], role: str) -> str:
    return "\n".join(text for one in said if one.role == role for kind, text in one.pieces if kind == "text")


async def _models(desk: Desk) -> list[str]:
    return sorted({job.model for job in desk.parts.settings.jobs.values() if job.model})


def _checked(body: bytes) -> bytes:
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        raise InvalidRequestError("The request is not a JSON object.", code="invalid_json") from error
    return body
