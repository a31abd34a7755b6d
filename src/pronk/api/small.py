"""Routes whose bodies are small: more than a mebibyte is refused before it is gathered, and nothing is read for strangers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from pronk.api.auth import get_identity

MAX_BODY_BYTES: Final = 1024 * 1024


class SmallBodies(APIRoute):
    """A route that reads no more of a body than `MAX_BODY_BYTES`, and none of it before it knows who asks, if it wants to know."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        is_guarded = _asks_who(self.dependant)

        async def limited(request: Request) -> Response:
            if is_guarded:
                await get_identity(request)
            return await answer(_LimitedRequest(request.scope, request.receive, request._send))  # noqa: SLF001

        return limited


def _asks_who(dependant: Dependant) -> bool:
    return dependant.call is get_identity or any(map(_asks_who, dependant.dependencies))


class _LimitedRequest(Request):
    async def stream(self) -> AsyncGenerator[bytes, None]:
        size = 0
        async for chunk in super().stream():
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise HTTPException(413)
            yield chunk
