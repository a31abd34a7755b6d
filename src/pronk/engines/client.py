"""The HTTP client of one engine replica: bytes in, bytes out.

What is cancelled here is aborted at the engine. Redirects are not followed, proxies of the environment are not used,
and no answer is asked for compressed. Nothing is sent twice: whoever calls decides about another try, also when a
connection that was kept alive turns out to be closed (they are given up after a few idle seconds, before common
servers close them, so this is rare).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import msgspec

from pronk.domain.bodies import Body, size_of
from pronk.domain.errors import EngineError, SettingsError
from pronk.http1 import Connection, Peer, Reply, Terms, connect
from pronk.telemetry.traces import carrier

__all__ = ["Answer", "Client", "Limits", "Stream"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a client, times in seconds. Servers of the uvicorn family close idle connections after 5."""

    connect_timeout: float = 10.0
    request_timeout: float = 600.0
    max_idle: float = 4.0
    max_connecting: int = 64
    max_answer_bytes: int = 256 * 1024 * 1024


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a replica answered, whatever the status; `body` is as it came, `retry_after` is seconds."""

    status: int
    body: bytes
    retry_after: float | None = None
    request_id: str | None = None
    replica: str = ""


class Stream(msgspec.Struct, frozen=True):
    """An answer that is passed on while it comes; header names are in lower case."""

    status: int
    headers: dict[str, str]
    chunks: AsyncIterator[bytes]


class Client:
    """Connections to one base URL, kept alive between requests. Close it with `close`."""

    def __init__(
        self,
        base_url: str,
        *,
        name: str = "",
        api_key: str | None = None,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        address = urlsplit(base_url.rstrip("/"))
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise SettingsError(f"engine URL {base_url!r} is not like http://host:port/v1")
        self.name = name
        self._limits = limits or Limits()
        secure = address.scheme == "https"
        self._peer = Peer(
            host=address.hostname,
            port=address.port or (443 if secure else 80),
            tls=(tls or ssl.create_default_context()) if secure else None,
        )
        self._terms = self._within(self._limits.request_timeout)
        self._prefix = address.path or "/v1"
        self._root = self._prefix.removesuffix("/v1")
        self._fixed = _fixed_headers(address.netloc.rpartition("@")[2], api_key)
        self._heads: dict[str, bytes] = {}
        self._carried = carrier()
        self._idle: list[Connection] = []
        self._connecting = asyncio.Semaphore(self._limits.max_connecting)
        self._loop = asyncio.get_running_loop()

    async def post(self, path: str, body: Body) -> Answer:
        """Return the engine's answer to `body` at a path like ``/v1/chat/completions``, whatever its status.

        Raises `EngineError` with ``engine_unavailable`` or ``engine_timeout``. Cancelling aborts the request at the
        engine.
        """
        return await self._ask(self._head(path, body), body, self._terms)

    async def get(self, path: str, *, within: float) -> Answer:
        """Return the answer at a path from the server's root, such as ``/health``; raises as `post` does."""
        head = b"GET %b%b\r\n" % ((self._root + path).encode(), self._fixed)
        return await self._ask(head, b"", self._within(within))

    async def _ask(self, head: bytes, body: Body, terms: Terms) -> Answer:
        try:
            connection = self._pop() or await self._connect()
            reply = await connection.exchange(head, body, terms)
        except OSError as error:
            raise self._mapped(error) from error
        self._push(connection)
        return self._answer(reply)

    def _answer(self, reply: Reply) -> Answer:
        headers = reply.headers
        request_id = headers.get(b"x-request-id")
        return Answer(
            reply.status,
            reply.body,
            retry_after_of(headers) if b"retry-after" in headers else None,
            request_id.decode("latin-1") if request_id is not None else None,
            self.name,
        )

    def _within(self, seconds: float) -> Terms:
        return Terms(within=seconds, max_bytes=self._limits.max_answer_bytes)

    @asynccontextmanager
    async def stream(self, path: str, body: Body) -> AsyncIterator[Stream]:
        """Give an answer as it comes. Leaving the block early aborts the request at the engine; raises as `post`."""
        try:
            connection = self._pop() or await self._connect()
            opening = await connection.open_stream(self._head(path, body), body, self._terms)
        except OSError as error:
            raise self._mapped(error) from error
        try:
            yield Stream(opening.status, opening.headers, self._chunks(connection))
        finally:
            connection.end_stream()
            self._push(connection)

    async def _chunks(self, connection: Connection) -> AsyncIterator[bytes]:
        try:
            async for chunk in connection.chunks():
                yield chunk
        except OSError as error:
            raise self._mapped(error) from error

    def close(self) -> None:
        """Close the idle connections; those in use end with their requests."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def _pop(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and self._loop.time() - connection.idle_since < self._limits.max_idle:
                return connection
            connection.abort()
        return None

    def _push(self, connection: Connection) -> None:
        if connection.is_open:
            connection.idle_since = self._loop.time()
            self._idle.append(connection)

    async def _connect(self) -> Connection:
        async with self._connecting:
            return await connect(self._peer, within=self._limits.connect_timeout)

    def _head(self, path: str, body: Body) -> bytes:
        head = self._heads.get(path)
        if head is None:
            target = (self._prefix + path.removeprefix("/v1")).encode().replace(b"%", b"%%")
            fixed = self._fixed.replace(b"%", b"%%")
            head = b"POST %b%bcontent-type: application/json\r\ncontent-length: %%d\r\n%%b\r\n" % (
                target,
                fixed,
            )
            self._heads[path] = head
        return head % (size_of(body), self._carried())

    def _mapped(self, error: OSError) -> EngineError:
        self.close()
        if isinstance(error, TimeoutError):
            return EngineError("engine_timeout", "the engine gave no answer in time")
        return EngineError("engine_unavailable", "the engine could not be reached or closed the connection")


def _fixed_headers(host: str, api_key: str | None) -> bytes:
    lines = [f" HTTP/1.1\r\nhost: {host}", "user-agent: pronk", "accept: application/json, text/event-stream"]
    if api_key:
        if not api_key.isprintable():
            raise SettingsError("the engine's API key has characters that no header may have")
        lines.append(f"authorization: Bearer {api_key}")
    return "\r\n".join([*lines, ""]).encode()


def retry_after_of(headers: dict[bytes, bytes]) -> float | None:
    """Return the seconds of ``Retry-After``; a date counts from the answer's own ``Date``."""
    value = headers[b"retry-after"].decode("latin-1")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(value)
        return max(0.0, (then - parsedate_to_datetime(headers[b"date"].decode("latin-1"))).total_seconds())
    except (ValueError, KeyError, TypeError):
        return None
