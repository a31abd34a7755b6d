"""The outermost layer: an id for every request, its measure, and an answer when something of ours broke."""

from __future__ import annotations

from time import perf_counter

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pronk.api.auth import HEADERS
from pronk.api.errors import envelope
from pronk.domain.ids import new_id
from pronk.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS

log = structlog.get_logger()


class Edge:
    """Pure ASGI around the whole app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            log.exception("request failed", request=answer.id, method=scope["method"], path=scope["path"])
            if answer.is_started:
                raise
            await _fault(answer.id)(scope, receive, answer.send)


class _Answer:
    """One answer on its way out."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.id = new_id("req_")
        self.is_started = False
        self._scope = scope
        self._send = send
        self._began_at = perf_counter()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.is_started = True
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", self.id.encode()),
                (b"x-content-type-options", b"nosniff"),
                *self._scope.get(HEADERS, {}).items(),
            ]
            self._count(message["status"])
        await self._send(message)

    def _count(self, status: int) -> None:
        method, route = self._scope["method"], getattr(self._scope.get("route"), "path", "unknown")
        HTTP_REQUESTS.labels(method, route, str(status)).inc()
        HTTP_SECONDS.labels(method, route).observe(perf_counter() - self._began_at)


def _fault(request_id: str) -> ASGIApp:
    message = f"Something broke on the server's side; its log tells more under {request_id}."
    return envelope(500, message, code="internal_error")
