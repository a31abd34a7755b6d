"""The wire of the fake engine: HTTP/1.1 with keep-alive by hand, and requests that are not answered at once."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from tests.fakes import engine_answers as answers

if TYPE_CHECKING:
    from tests.fakes.engine import Behaviour, FakeEngine

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_REASONS = {200: b"OK", 429: b"Too Many Requests", 503: b"Service Unavailable"}
Question = tuple[str, answers.Body, int]


class Exchange:
    """A request that is not answered at once."""

    def __init__(
        self, engine: FakeEngine, connection: Connection, question: Question, behaviour: Behaviour
    ) -> None:
        self._engine, self._connection, self._behaviour = engine, connection, behaviour
        self._path, self._request, self._size = question
        self._events: Iterator[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self._connection.exchange = self
        if self._request.stream and self._behaviour.status == 200:
            self._events = answers.events(self._path, self._request)
            self._connection.start_stream()
            self._connection.send_chunk(next(self._events))
        if self._behaviour.hold:
            self._engine.held.append(self)
        else:
            self.go_on()

    def go_on(self) -> None:
        if self._behaviour.delay:
            self._timer = asyncio.get_running_loop().call_later(self._behaviour.delay, self._finish)
        else:
            self._finish()

    def _finish(self) -> None:
        self._connection.exchange = None
        self._engine.in_flight -= 1
        behaviour = self._behaviour
        if behaviour.cut == "before":
            self._connection.transport.abort()
        elif self._events is not None:
            for event in self._events:
                self._connection.send_chunk(event)
            self._connection.send_chunk(b"")
        elif behaviour.status != 200:
            body = answers.error(behaviour.status, f"scripted {behaviour.status}")
            self._connection.send(behaviour.status, body, behaviour.retry_after)
        elif behaviour.garbage:
            self._connection.send(200, b"<html>not an answer</html>")
        else:
            self._send_answer()
        self._engine.touch()
        self._connection.resume()

    def _send_answer(self) -> None:
        body = answers.answer(self._path, self._request, self._size)
        if self._behaviour.cut == "middle":
            self._connection.transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body[:20]
            )
            self._connection.transport.close()
        else:
            self._connection.send(200, body)

    def abandon(self) -> None:
        """Forget a request whose client went away."""
        if self._timer is not None:
            self._timer.cancel()
        if self in self._engine.held:
            self._engine.held.remove(self)
        self._engine.in_flight -= 1
        self._engine.aborted += 1
        self._engine.touch()


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, by hand; bodies need a content-length."""

    transport: asyncio.Transport

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._buffer = bytearray()
        self._needed = 0
        self.exchange: Exchange | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        self.transport = transport
        self._engine.connections.add(self)
        self._engine.connection_count += 1
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._engine.connections.discard(self)
        if self.exchange is not None:
            self.exchange.abandon()
            self.exchange = None
        self._engine.touch()

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return
            data = bytes(self._buffer)
            self._buffer.clear()
        self._consume(data)

    def resume(self) -> None:
        """Go on with what came in while a request was being answered."""
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            self._consume(data)

    def _consume(self, data: bytes) -> None:
        while data and self.exchange is None:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                break
            head = data[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(data) < whole:
                self._needed = whole
                break
            self._engine.receive(self, head, data[end + 4 : whole])
            data = data[whole:]
        if data:
            self._buffer += data

    def send(self, status: int, body: bytes, retry_after: float | None = None) -> None:
        extra = b"" if retry_after is None else b"retry-after: %g\r\n" % retry_after
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\nx-request-id: fake-%d\r\n%bcontent-length: %d\r\n\r\n%b"
            % (status, _REASONS.get(status, b"Status"), self._engine.request_count, extra, len(body), body)
        )

    def start_stream(self) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )

    def send_chunk(self, data: bytes) -> None:
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
