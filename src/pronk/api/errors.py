"""Every answer that is not a success: which error becomes which status, and the one envelope of all."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from pronk.api.names import shown
from pronk.domain.errors import ApiError, AuthenticationError, OutageError, RateLimitError, RequestError

log = structlog.get_logger()

REQUEST_STATUSES: Final[Mapping[str, int]] = {
    "engine_unavailable": 503,
    "engine_timeout": 504,
    "internal_error": 500,
}
"""Codes of a request that got no answer to HTTP statuses; all others are the caller's to mend: 400."""

_SOON: Final = 120.0
"""Seconds that a client may well wait before it tries again by itself."""

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_MESSAGES: Final = {
    400: "The request could not be read; is its body what its Content-Type says, in UTF-8?",
    413: "The body is too large.",
}


def envelope(
    status: int,
    message: str,
    *,
    type: str | None = None,  # noqa: A002 - the field's name
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return OpenAI's error envelope."""
    kind = type or ("server_error" if status >= 500 else "invalid_request_error")
    error = {"message": _plain(message), "type": kind, "param": param and _plain(param), "code": code}
    return Response(
        msgspec.json.encode({"error": error}), status, dict(headers or {}), media_type="application/json"
    )


def add_error_handlers(app: FastAPI) -> None:
    """Make every error that a route may raise an envelope."""
    for kind, answer in _ANSWERS:
        app.add_exception_handler(kind, answer)


def of_api_error(error: ApiError) -> Response:
    """Return the answer that an ApiError stands for."""
    headers = {}
    if isinstance(error, RateLimitError):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, AuthenticationError):
        headers["www-authenticate"] = "Bearer"
    if error.status_code == 409 or (isinstance(error, RateLimitError) and error.retry_after > _SOON):
        headers["x-should-retry"] = "false"
    return envelope(
        error.status_code, error.message, type=error.type, param=error.param, code=error.code, headers=headers
    )


def of_request_error(error: RequestError) -> Response:
    """Return the answer for a request that no engine answered."""
    status = REQUEST_STATUSES.get(error.code, 400)
    return envelope(status, error.message, param=error.param, code=error.code)


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - the table below says so
    return of_api_error(error)


async def _request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)  # noqa: S101
    return of_request_error(error)


async def _outage(request: Request, error: Exception) -> Response:
    log.warning("request met an outage", path=request.url.path, reason=str(error))
    message = "The server cannot reach its database or its storage now; try again in a moment."
    return envelope(503, message, code="outage", headers={"retry-after": "1"})


async def _disconnect(_: Request, __: Exception) -> Response:
    return envelope(400, "The connection was closed before the whole request was read.", code="disconnected")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    place = f"{request.method} {shown(request.url.path)}"
    if error.status_code == 404:
        return envelope(404, f"There is no {place}; the routes are listed at /docs.", code="unknown_url")
    if error.status_code == 405:
        allowed = ", ".join(_allowed_methods(request))
        message = f"{place} is not served; this path takes {allowed}."
        return envelope(405, message, code="method_not_supported", headers={"allow": allowed})
    return envelope(error.status_code, _MESSAGES.get(error.status_code, str(error.detail)))


def _allowed_methods(request: Request) -> list[str]:
    """All methods of a path: each route of it knows only its own. A path that is spelled out is no parameter of another."""
    described = request.app.openapi()["paths"].get(request.url.path, {})
    if described:
        return [method for method in _METHODS if method.lower() in described]
    routes = request.app.router.routes
    path = {key: request.scope[key] for key in ("type", "path", "root_path", "headers", "query_string")}

    def serves(method: str) -> bool:
        return any(route.matches({**path, "method": method})[0] is Match.FULL for route in routes)

    return [method for method in _METHODS if serves(method)]


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    findings: Sequence[Mapping[str, Any]] = error.errors()
    first = findings[0]
    param = _param(first["loc"])
    message = _finding(first, param)
    if len(findings) > 1:
        message += f" (and {len(findings) - 1} more: {', '.join(_others(findings))})"
    return envelope(400, message, param=param, code=_code(first["type"]))


def _finding(finding: Mapping[str, Any], param: str | None) -> str:
    kind = finding["type"]
    if kind == "json_invalid":
        return f"The body is not valid JSON: {finding['ctx']['error']} at character {finding['loc'][-1]}."
    if param is None:
        return "The body has to be a JSON object, sent with Content-Type: application/json."
    if kind == "missing":
        return f"{param!r} is missing."
    if kind == "extra_forbidden":
        return f"{param!r} is not known here."
    what = str(finding["msg"]).replace("Input should", "it should").replace("Value error, ", "")
    return f"{param!r} is {shown(finding.get('input'))}: {what[:1].lower()}{what[1:]}."


def _code(kind: str) -> str:
    known = {
        "missing": "missing_required_parameter",
        "json_invalid": "invalid_json",
        "extra_forbidden": "unknown_parameter",
    }
    return known.get(kind) or ("invalid_type" if kind.endswith(("_type", "_parsing")) else "invalid_value")


def _param(location: Sequence[int | str]) -> str | None:
    """Return the JSON path of a finding, or the name of a query parameter or header."""
    text = ""
    for step in location[1:]:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".") or None


def _others(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    return [_param(finding["loc"]) or "body" for finding in findings[1:6]]


def _plain(text: str) -> str:
    """Half of a surrogate pair cannot be encoded."""
    return text.encode(errors="replace").decode()


_Answer = Callable[[Request, Exception], Awaitable[Response]]
_ANSWERS: Final[tuple[tuple[type[Exception], _Answer], ...]] = (
    (ApiError, _api_error),
    (RequestError, _request_error),
    (OutageError, _outage),
    (ClientDisconnect, _disconnect),
    (HTTPException, _http_error),
    (RequestValidationError, _invalid),
)
