"""An engine's answer passed on while it comes (server-sent events)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pronk.api.connected import while_connected
from pronk.api.parts import Engines, ResolvedBody
from pronk.api.tokens import Tokens
from pronk.domain.errors import RequestError
from pronk.engines.client import Stream

_PASSED: Final = ("content-type", "retry-after", "cache-control")


class Relay(Response):
    """Opens the stream when it is sent, and aborts it at the engine when the client goes away.

    What fails before the engine answers is raised, for an envelope; what fails later is the last event.
    """

    def __init__(
        self, pool: Engines, endpoint: str, resolved: Callable[[], Awaitable[ResolvedBody]], tokens: Tokens
    ) -> None:
        super().__init__()
        self._tokens = tokens
        self._pool = pool
        self._endpoint = endpoint
        self._resolved = resolved

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        async def work() -> None:
            ready = await self._resolved()
            try:
                async with self._pool.stream(self._endpoint, ready.body) as stream:
                    await _pass_on(stream, send, self._tokens)
            finally:
                ready.close()
                with anyio.CancelScope(shield=True), anyio.move_on_after(5):
                    await self._tokens.count_stream()

        try:
            await while_connected(receive, work)
        except ClientDisconnect:
            return


async def _pass_on(stream: Stream, send: Send, tokens: Tokens) -> None:
    headers = [
        (name.encode(), stream.headers[name].encode("latin-1")) for name in _PASSED if name in stream.headers
    ]
    await send({"type": "http.response.start", "status": stream.status, "headers": headers})
    try:
        async for chunk in stream.chunks:
            tokens.see(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except RequestError as error:
        await send({"type": "http.response.body", "body": _event(error), "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _event(error: RequestError) -> bytes:
    shown = {"message": error.message, "type": "server_error", "param": error.param, "code": error.code}
    return b"\n\ndata: %b\n\n" % msgspec.json.encode({"error": shown})
