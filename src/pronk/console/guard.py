"""What every page has around it: who may see it, where a form may come from, headers, and errors as pages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import quote

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse

from pronk.console.desk import desk_of
from pronk.console.origin import is_ours, is_safe
from pronk.console.session import Session, holds
from pronk.domain.errors import (
    ApiError,
    AuthenticationError,
    OutageError,
    PermissionDeniedError,
    RequestError,
)

log = structlog.get_logger()

TOKEN_HEADER: Final = "x-csrf-token"  # noqa: S105 - a header's name
MAX_FORM_BYTES: Final = 4 * 1024 * 1024
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_OPEN: Final = frozenset({"/login"})


class Guarded(APIRoute):
    """A route of the console."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            response = await _answer(request, answer)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            response.headers.setdefault("cache-control", "no-store")
            return response

        return guarded


async def _answer(request: Request, answer: Callable[[Request], Coroutine[Any, Any, Response]]) -> Response:
    desk = desk_of(request)
    request.state.session = Session(desk.seed(request))
    try:
        await _admit(request)
        if not is_safe(request):
            await _check_form(request)
        return await answer(request)
    except AuthenticationError:
        return _to_login(request)
    except (ApiError, RequestError, OutageError, HTTPException, RequestValidationError) as error:
        return _shown(request, error)


async def _admit(request: Request) -> None:
    """Put the caller's session into the request. Raises AuthenticationError for who has to log in first."""
    session = await desk_of(request).session(request)
    if session is not None:
        request.state.session = session
    elif request.url.path not in _OPEN:
        raise AuthenticationError("Log in first.")


async def _check_form(request: Request) -> None:
    if not is_ours(request):
        raise PermissionDeniedError("This form was not sent by a page of this server.", code="foreign_origin")
    token = request.headers.get(TOKEN_HEADER)
    if token is None:
        token = str((await _form(request)).get("csrf", ""))
    if not holds(request, token):
        raise PermissionDeniedError("This form is out of date; load its page again.")
    if not request.state.session.can_write and request.url.path not in {"/login", "/logout"}:
        raise PermissionDeniedError("This key may only read.")


async def _form(request: Request) -> Any:
    if int(request.headers.get("content-length") or 0) > MAX_FORM_BYTES:
        raise HTTPException(413)
    return await request.form(max_fields=200, max_part_size=MAX_FORM_BYTES)


def _to_login(request: Request) -> Response:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    where = f"/login?next={quote(path, safe='')}" if is_safe(request) else "/login"
    if _wants_page(request):
        return RedirectResponse(where, 303)
    return _refused(401, "Log in first.")


def _shown(request: Request, error: Exception) -> Response:
    """Return an error as a page for people, as one line for scripts."""
    status, message = _status(error)
    if status >= 500:
        log.warning("page met an error", path=request.url.path, error=repr(error))
    if not _wants_page(request):
        return JSONResponse({"error": {"message": message}}, status)
    return desk_of(request).pages.show(request, "error.html", status, code=status, message=message)


def _status(error: Exception) -> tuple[int, str]:
    if isinstance(error, ApiError):
        return error.status_code, error.message
    if isinstance(error, RequestError):
        return 400, error.message
    if isinstance(error, OutageError):
        return 503, "The server cannot reach its database or its storage now; try again in a moment."
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail)
    return 400, "The address or the form has something that cannot be read."


def _wants_page(request: Request) -> bool:
    """Scripts of ours say what they are, with one header."""
    return "x-pronk" not in request.headers and "text/html" in request.headers.get("accept", "")


def _refused(status: int, message: str) -> Response:
    return Response(message, status, media_type="text/plain")
