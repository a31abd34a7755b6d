"""Requests that are answered at once, by the same jobs, guards and engines as batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from pronk.api import documented
from pronk.api.auth import Caller
from pronk.api.catalog import Catalog
from pronk.api.connected import while_connected
from pronk.api.errors import envelope
from pronk.api.names import shown
from pronk.api.parts import ApiParts, Parts, ResolvedBody
from pronk.api.relay import Relay
from pronk.api.tokens import begin
from pronk.domain.bodies import defaults_of, merge_defaults
from pronk.domain.errors import InvalidRequestError, NotFoundError, TooLargeError, UnavailableError
from pronk.domain.ids import ProjectId
from pronk.domain.job import Job
from pronk.engines.client import Answer

router = APIRouter(prefix="/v1", tags=["Requests now"])

_SHOWN_BYTES: Final = 500


class _Head(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None


class _Plain(msgspec.Struct, frozen=True):
    """A body without references; nothing to give back."""

    body: bytes

    def close(self) -> None:
        """Nothing to do."""


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@router.post("/chat/completions", openapi_extra=documented.CHAT_BODY, responses=documented.NOW)
async def create_chat_completion(request: Request, project: Caller, parts: Parts) -> Response:
    """Answer a chat."""
    return await _answer(request, "/v1/chat/completions", project, parts)


@router.post("/completions", openapi_extra=documented.ANY_BODY, responses=documented.NOW)
async def create_completion(request: Request, project: Caller, parts: Parts) -> Response:
    """Complete a prompt."""
    return await _answer(request, "/v1/completions", project, parts)


@router.post("/embeddings", openapi_extra=documented.ANY_BODY, responses=documented.NOW)
async def create_embedding(request: Request, project: Caller, parts: Parts) -> Response:
    """Embed texts."""
    return await _answer(request, "/v1/embeddings", project, parts)


@router.post("/responses", openapi_extra=documented.ANY_BODY, responses=documented.NOW)
async def create_response(request: Request, project: Caller, parts: Parts) -> Response:
    """Answer in the shape of the Responses API."""
    return await _answer(request, "/v1/responses", project, parts)


async def _answer(request: Request, endpoint: str, project: ProjectId, parts: ApiParts) -> Response:
    tokens = await begin(request)
    given = await read_body(request, parts.settings.max_line_bytes)
    job = await _job(parts, project, _read(given).model)
    body = merge_defaults(given, defaults_of(job))
    pool = parts.pools.get(job.engine)
    if pool is None:
        raise UnavailableError(f"The engine pool {job.engine!r} is not open here.", code="engine_unavailable")

    async def resolved() -> ResolvedBody:
        if not parts.resolver.names_media(body):
            return _Plain(body)
        engine = parts.settings.engines[job.engine]
        return await parts.resolver.resolve(
            body,
            endpoint=endpoint,
            policy=job.media,
            project=project,
            with_uuid=engine.kind == "vllm",
            reads_files=engine.reads_files,
        )

    if _read(body).stream:
        return Relay(pool, endpoint, resolved, tokens)

    async def work() -> Response:
        ready = await resolved()
        try:
            answer = await pool.complete(endpoint, ready.body)
            await tokens.count_answer(answer.body)
            return _pass_on(answer)
        finally:
            ready.close()

    return await while_connected(request.receive, work)


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body. Raises TooLargeError as soon as more has come in than `limit` bytes."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise TooLargeError(f"The body is larger than {limit:,} bytes.", code="body_too_large")
        pieces.append(piece)
    return b"".join(pieces)


async def _job(parts: ApiParts, project: ProjectId, model: str | None) -> Job:
    job = await Catalog.of(parts, project).find_for_model(model)
    if job is not None:
        return job
    if model is None:
        raise InvalidRequestError("'model' is missing.", param="model", code="missing_required_parameter")
    raise NotFoundError(
        f"No job serves the model {shown(model)}; /v1/models lists those there are.",
        param="model",
        code="model_not_found",
    )


def _read(body: bytes) -> _Head:
    try:
        _decode_object(body)
        return _decode_head(body)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"The body is not a request: {error}.", code="invalid_type") from error
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidRequestError(f"The body is not valid JSON: {why}.", code="invalid_json") from error


def _pass_on(answer: Answer) -> Response:
    """Return the engine's answer as it is; what is no JSON is put into words."""
    headers: Mapping[str, str] = (
        {} if answer.retry_after is None else {"retry-after": f"{answer.retry_after:g}"}
    )
    try:
        msgspec.json.decode(answer.body, type=msgspec.Raw)
    except msgspec.DecodeError:
        text = answer.body[:_SHOWN_BYTES].decode(errors="replace")
        status = answer.status if answer.status >= 400 else 502
        return envelope(
            status, f"The engine answered {answer.status}: {text}", code="engine_error", headers=headers
        )
    return Response(answer.body, answer.status, dict(headers), media_type="application/json")
