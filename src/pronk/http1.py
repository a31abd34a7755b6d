"""One HTTP/1.1 connection, one exchange at a time: to engines, and to the stores that pictures come from.

Written on the event loop's own transports because a general client costs three times as much per request, and because
an engine must learn at once, by a closed connection, that nobody waits for its answer any more. llhttp, by way of
httptools, reads the answers.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import cast

import httptools
import msgspec

from pronk.domain.bodies import Body

_JOIN_BELOW = 32_768
_STREAM_AHEAD = 262_144


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What came back, whatever the status; header names are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange may take: seconds in all and without any byte, and bytes of the answer's body.

    `on_head` hears status and headers before the body is read; what it raises ends the exchange.
    """

    within: float
    quiet: float | None = None
    max_bytes: int
    on_head: Callable[[int, Mapping[bytes, bytes]], None] | None = None


class AnswerTooLongError(ConnectionError):
    """More came than the terms allow."""


class Opening(msgspec.Struct, frozen=True):
    """The beginning of a streamed answer; header names are in lower case."""

    status: int
    headers: dict[str, str]


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """The server at the other end."""

    host: str
    port: int
    tls: ssl.SSLContext | None


class Connection(asyncio.Protocol):
    """A socket and what is on it. Errors are `OSError`, `TimeoutError` among them; after one it is closed.

    `heard_at` is when the other side last said anything, by the loop's clock, or when something was sent to it last.
    """

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.heard_at = 0.0
        self.is_open = False
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Reply] | None = None
        self._terms: Terms | None = None
        self._until = 0.0
        self._opening: asyncio.Future[Opening] | None = None
        self._chunks: _Chunks | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = 0.0
        self._transport = cast("asyncio.Transport", None)
        self._forget()

    def _forget(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._size = 0
        self._in_body = False

    async def exchange(self, head: bytes, body: Body, terms: Terms) -> Reply:
        """Send a request and return its whole answer. Cancelling closes the connection."""
        self._answer = self._loop.create_future()
        self._send(head, body, terms)
        try:
            return await self._answer
        except BaseException:
            self.abort()
            raise
        finally:
            self._answer = None

    async def open_stream(self, head: bytes, body: Body, terms: Terms) -> Opening:
        """Send a request and return when the head of its answer is there; `chunks` then gives the body."""
        self._opening = self._loop.create_future()
        self._chunks = _Chunks(self)
        self._send(head, body, terms)
        try:
            return await self._opening
        except BaseException:
            self.abort()
            raise
        finally:
            self._opening = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body of a streamed answer as it comes; only so much is read ahead."""
        assert self._chunks is not None  # noqa: S101 - open_stream came before
        async for chunk in self._chunks.read():
            yield chunk

    def _send(self, head: bytes, body: Body, terms: Terms) -> None:
        self.heard_at = now = self._loop.time()
        self._terms = terms
        self._until = now + terms.within
        self._watch(now + (terms.quiet or terms.within))
        if not self.is_open:
            self._fail(ConnectionResetError("closed while idle"))
        elif isinstance(body, tuple):
            self._transport.writelines((head, *body))
        elif len(body) < _JOIN_BELOW:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    def _watch(self, then: float) -> None:
        """Look at the time no later than `then`. One timer goes on from exchange to exchange: to set one for each costs more than to ask."""
        if self._timer is not None:
            if self._looks_at <= then:
                return
            self._timer.cancel()
        self._looks_at = then
        self._timer = self._loop.call_at(then, self._look)

    def _look(self) -> None:
        """Go on waiting as long as there is time and the other side is heard."""
        self._timer = None
        if self._terms is None:
            return
        then, quiet = self._until, self._terms.quiet
        if quiet is not None:
            then = min(then, self.heard_at + quiet)
        if then <= self._loop.time():
            self._fail(TimeoutError("no answer in time"))
        else:
            self._watch(then)

    def abort(self) -> None:
        """Close at once; the other side sees it whatever it is doing."""
        self._terms = None
        self.is_open = False
        self._transport.abort()

    def pause(self) -> None:
        """Read no more for now."""
        if self.is_open:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on after `pause`."""
        if self.is_open:
            self._transport.resume_reading()

    def _fail(self, error: Exception) -> None:
        for future in (self._answer, self._opening):
            if future is not None and not future.done():
                future.set_exception(error)
        if self._chunks is not None:
            self._chunks.end(error)
        self.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called by the loop."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """End; an answer without a length ends here in a regular way."""
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        headers = self._headers
        if (
            exc is None
            and self._in_body
            and b"content-length" not in headers
            and b"transfer-encoding" not in headers
        ):
            self.on_message_complete()
        else:
            self._fail(exc or ConnectionResetError("closed without an answer"))

    def data_received(self, data: bytes) -> None:
        """Feed the parser; an answer that nobody asked for, or not HTTP, closes the connection."""
        if not self._is_awaited():
            self.abort()
            return
        self.heard_at = self._loop.time()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionResetError(f"not an HTTP answer: {error}"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; called by the parser."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Hand out the head of a streamed answer; called by the parser."""
        self._in_body = True
        self._hear_head()
        if self._opening is not None and not self._opening.done() and self._parser.get_status_code() >= 200:
            headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in self._headers.items()}
            self._opening.set_result(Opening(self._parser.get_status_code(), headers))

    def _hear_head(self) -> None:
        on_head = self._terms.on_head if self._terms is not None else None
        if on_head is None or self._answer is None or self._answer.done():
            return
        try:
            on_head(self._parser.get_status_code(), self._headers)
        except Exception as refusal:  # noqa: BLE001  # whatever it is belongs to whoever waits for the answer
            self._fail(refusal)

    def on_body(self, data: bytes) -> None:
        """Keep or hand on a piece of the body; called by the parser."""
        if self._chunks is not None:
            self._chunks.put(data)
            return
        self._parts.append(data)
        self._size += len(data)
        if self._terms is not None and self._size > self._terms.max_bytes:
            self._fail(AnswerTooLongError("the answer is too long"))

    def on_message_complete(self) -> None:
        """Give the answer to who waits for it; called by the parser."""
        status = self._parser.get_status_code()
        if status >= 200:
            self._terms = None
            if not self._parser.should_keep_alive() or self._transport.get_write_buffer_size():
                self.is_open = False
                self._transport.close()
            self._hand_out(status)
        self._forget()

    def _hand_out(self, status: int) -> None:
        if self._chunks is not None and not self._chunks.is_complete:
            self._chunks.end(None)
        elif self._answer is not None and not self._answer.done():
            self._answer.set_result(self._whole(status))
        else:
            self.abort()

    def _is_awaited(self) -> bool:
        if self._chunks is not None:
            return not self._chunks.is_complete
        return self._answer is not None and not self._answer.done()

    def _whole(self, status: int) -> Reply:
        parts = self._parts
        return Reply(status, self._headers, parts[0] if len(parts) == 1 else b"".join(parts))

    def end_stream(self) -> None:
        """Forget the stream that was read; what is left of it closes the connection."""
        if self._chunks is not None and not self._chunks.is_complete:
            self.abort()
        self._chunks = None


class _Chunks:
    """The pieces of a streamed answer between the socket and its reader."""

    def __init__(self, connection: Connection) -> None:
        self.is_complete = False
        self._connection = connection
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._error: Exception | None = None
        self._news = asyncio.Event()

    def put(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        if self._size > _STREAM_AHEAD:
            self._connection.pause()
        self._news.set()

    def end(self, error: Exception | None) -> None:
        if not self._ended:
            self._ended, self._error, self.is_complete = True, error, error is None
        self._news.set()

    async def read(self) -> AsyncIterator[bytes]:
        while True:
            while self._waiting:
                data = self._waiting.popleft()
                self._size -= len(data)
                yield data
            if self._ended:
                break
            self._connection.resume()
            self._news.clear()
            await self._news.wait()
        if self._error is not None:
            raise self._error


async def connect(peer: Peer, *, within: float) -> Connection:
    """Open a connection; `ConnectionError` when there is none after `within` seconds, or another `OSError`."""
    loop = asyncio.get_running_loop()
    server_name = peer.host if peer.tls else None
    try:
        async with asyncio.timeout(within):
            _, connection = await loop.create_connection(
                Connection, peer.host, peer.port, ssl=peer.tls, server_hostname=server_name
            )
    except TimeoutError as error:
        raise ConnectionError("no connection in time") from error
    return connection
