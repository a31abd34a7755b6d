"""A small HTTP/1.1 server whose answers can be as rude as a network's: late, cut, stalled, lying, reset."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Literal, cast

import anyio
import httptools
from anyio.abc import TaskGroup

Wait = Callable[[float], Awaitable[None]]

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it stood on the wire: nothing in `path` and `query` is decoded, header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    host: str
    """The authority of an absolute target (as a proxy gets it), else the Host header."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How an answer leaves. Seconds for times, bytes for lengths.

    After `cut_after` bytes of the body (-1: before even the head) comes the `ending`: the connection is closed in
    order, reset, or left open without another byte. `instead` replaces the whole answer, head included.
    """

    first_byte_after: float = 0.0
    cut_after: int | None = None
    ending: Literal["close", "reset", "stall"] = "close"
    claimed_length: int | None = None
    instead: bytes | None = None
    between_pieces: float = 0.0


POLITE = Manners()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `pieces` streams a body, chunked unless `manners` claims a length; it may be endless."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    pieces: Callable[[], Iterator[bytes]] | None = None
    manners: Manners = POLITE

    def with_manners(self, manners: Manners) -> Reply:
        """Return the same answer, behaving differently."""
        return replace(self, manners=manners)


Answer = Callable[[Request], Reply]


@dataclass(frozen=True, slots=True)
class Listening:
    """A server that listens: its address, and what it has seen so far."""

    host: str
    port: int
    scheme: str
    traffic: Traffic

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(slots=True)
class Traffic:
    """Counts of one server; `open_now` and `most_open` count requests that are being answered."""

    connections: int = 0
    requests: int = 0
    bytes_sent: int = 0
    aborted_by_client: int = 0
    open_now: int = 0
    most_open: int = 0

    def began(self) -> None:
        """Note that a request has come in."""
        self.requests += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)


@asynccontextmanager
async def open_server(
    answer: Answer,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    wait: Wait = anyio.sleep,
) -> AsyncIterator[Listening]:
    """Serve `answer` until the block ends; open connections are aborted then."""
    traffic = Traffic()
    connections: set[_Connection] = set()
    loop = asyncio.get_running_loop()
    async with _unwrapped(), anyio.create_task_group() as tasks:
        shared = _Shared(answer, traffic, connections, tasks, wait)
        server = await loop.create_server(lambda: _Connection(shared), host, port, ssl=tls, backlog=1024)
        bound = server.sockets[0].getsockname()
        try:
            yield Listening(bound[0], bound[1], "https" if tls else "http", traffic)
        finally:
            server.close()
            tasks.cancel_scope.cancel()
            for connection in tuple(connections):
                connection.abort()


@asynccontextmanager
async def _unwrapped() -> AsyncIterator[None]:
    """Let the one error of a block leave as it is, not as a group."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


@dataclass(frozen=True, slots=True)
class _Shared:
    answer: Answer
    traffic: Traffic
    connections: set[_Connection]
    tasks: TaskGroup
    wait: Wait


@dataclass(slots=True)
class _Draft:
    """A request that is still coming in."""

    target: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    body: list[bytes] = field(default_factory=list)


class _Connection(asyncio.Protocol):
    """One client. A polite answer leaves at once; any other one has a task of the server's group."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._parser = httptools.HttpRequestParser(self)
        self._draft = _Draft()
        self._waiting: deque[Request] = deque()
        self._is_answering = False
        self._writable = anyio.Event()
        self._writable.set()
        self._scope: anyio.CancelScope | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._shared.traffic.connections += 1
        self._shared.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._shared.connections.discard(self)
        self._writable.set()
        if self._scope is not None:
            self._shared.traffic.aborted_by_client += 1
            self._scope.cancel()

    def pause_writing(self) -> None:
        self._writable = anyio.Event()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_begin(self) -> None:
        self._draft = _Draft()

    def on_url(self, url: bytes) -> None:
        self._draft.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        seen = self._draft.headers.get(key)
        self._draft.headers[key] = text if seen is None else f"{seen},{text}"

    def on_headers_complete(self) -> None:
        if self._draft.headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._draft.body.append(body)

    def on_message_complete(self) -> None:
        request = _finished(self._draft, self._parser.get_method().decode("latin-1"))
        if self._is_answering:
            self._waiting.append(request)
        else:
            self._respond(request)

    def abort(self) -> None:
        """Close at once; used when the server ends."""
        self._transport.abort()

    def _respond(self, request: Request) -> None:
        self._shared.traffic.began()
        try:
            reply = self._shared.answer(request)
        except Exception as error:  # noqa: BLE001 - a fault of the fake itself must end the test
            self._shared.tasks.start_soon(_raise, error)
            return
        if reply.manners is POLITE and reply.pieces is None:
            self._write(_head(reply, request), b"" if request.method == "HEAD" else reply.body)
            self._shared.traffic.open_now -= 1
            return
        self._is_answering = True
        self._shared.tasks.start_soon(self._respond_rudely, request, reply)

    async def _respond_rudely(self, request: Request, reply: Reply) -> None:
        try:
            with anyio.CancelScope() as self._scope:
                await self._send(request, reply)
        finally:
            self._scope = None
            self._is_answering = False
            self._shared.traffic.open_now -= 1
        if self._waiting and not self._transport.is_closing():
            self._respond(self._waiting.popleft())

    async def _send(self, request: Request, reply: Reply) -> None:
        manners = reply.manners
        if manners.first_byte_after:
            await self._shared.wait(manners.first_byte_after)
        if manners.instead is not None:
            self._write(manners.instead)
            self._transport.close()
            return
        if manners.cut_after is None or manners.cut_after >= 0:
            self._write(_head(reply, request))
        if request.method != "HEAD":
            await self._send_body(reply)
        if manners.cut_after is not None:
            await self._end(manners.ending)

    async def _send_body(self, reply: Reply) -> None:
        manners = reply.manners
        if reply.pieces is None:
            self._write(reply.body[: _limit(manners, len(reply.body))])
            return
        is_chunked, left = manners.claimed_length is None, _limit(manners, 1 << 62)
        for piece in filter(None, reply.pieces()):
            taken = piece[:left]
            left -= len(taken)
            self._write(b"%x\r\n%b\r\n" % (len(taken), taken) if is_chunked else taken)
            await self._writable.wait()
            await self._shared.wait(manners.between_pieces)
            if not left or self._transport.is_closing():
                return
        if is_chunked:
            self._write(b"0\r\n\r\n")

    async def _end(self, ending: str) -> None:
        if ending == "stall":
            await anyio.sleep_forever()
        elif ending == "reset":
            _reset_on_close(self._transport)
            self._transport.abort()
        else:
            self._transport.close()

    def _write(self, *parts: bytes) -> None:
        if not self._transport.is_closing():
            self._shared.traffic.bytes_sent += sum(map(len, parts))
            self._transport.writelines(parts)


async def _raise(error: Exception) -> None:
    raise error


def _limit(manners: Manners, length: int) -> int:
    return length if manners.cut_after is None else max(0, manners.cut_after)


def _finished(draft: _Draft, method: str) -> Request:
    target = draft.target.decode("latin-1")
    host = draft.headers.get("host", "")
    if target.startswith(("http://", "https://")):
        host, _, rest = target.partition("://")[2].partition("/")
        target = f"/{rest}"
    path, _, query = target.partition("?")
    return Request(method, path, query, draft.headers, b"".join(draft.body), host)


def _head(reply: Reply, request: Request) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    if reply.manners.claimed_length is not None:
        lines.append(f"content-length: {reply.manners.claimed_length}")
    elif reply.pieces is not None:
        lines.append("transfer-encoding: chunked")
    elif reply.status not in {204, 304} and not _names_length(reply):
        lines.append(f"content-length: {len(reply.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _names_length(reply: Reply) -> bool:
    return any(name == "content-length" for name, _ in reply.headers)


def _phrase(status: int) -> str:
    return _PHRASES.get(status, "Odd")


def _reset_on_close(transport: asyncio.Transport) -> None:
    own = transport.get_extra_info("socket")
    with socket.socket(fileno=socket.dup(own.fileno())) as copy:
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
