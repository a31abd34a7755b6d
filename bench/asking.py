"""GETs over connections that stay open, at next to no cost of its own: what is measured is who answers."""

from __future__ import annotations

import asyncio
import re
import time
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


def ask(url: str, path: str, *, clients: int, seconds: float, pause: float = 0.0) -> list[float]:
    """Return how long each answer took; each client asks anew `pause` after its last answer. RuntimeError for a refusal."""
    return uvloop.run(_ask(url, path, clients, seconds, pause))


async def _ask(url: str, path: str, clients: int, seconds: float, pause: float) -> list[float]:
    address = url.rpartition("//")[2]
    host, _, port = address.partition(":")
    request = f"GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n".encode()
    made = [_Client(request, time.monotonic() + seconds, pause) for _ in range(clients)]
    for client in made:
        await asyncio.get_running_loop().create_connection(lambda one=client: one, host, int(port))  # type: ignore[misc]
    await asyncio.gather(*(client.ended for client in made))
    return [each for client in made for each in client.took]


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes, end: float, pause: float) -> None:
        self.took: list[float] = []
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._end, self._pause = request, end, pause
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.ended.done():
            self.ended.set_exception(RuntimeError("the API hung up"))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, gap, body = self._answer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if gap and length and len(body) >= int(length[1]):
            self._take(time.monotonic())

    def _take(self, now: float) -> None:
        if not self._answer.startswith(b"HTTP/1.1 200 "):
            self.ended.set_exception(RuntimeError(f"the API refused: {self._answer!r}"))
            return
        self._answer = b""
        self.took.append(now - self._began)
        if now >= self._end:
            self.ended.set_result(None)
            self._transport.close()
        elif self._pause:
            asyncio.get_running_loop().call_later(self._pause, self._send)
        else:
            self._send()

    def _send(self) -> None:
        self._began = time.monotonic()
        self._transport.write(self._request)
