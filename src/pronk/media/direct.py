"""GETs of objects over kept connections of our own: the shortest way from a store to bytes.

A general client, or an object store library behind a runtime of its own, costs two to four times as much for an object of
100 KB. Redirects are not followed and nothing is sent twice: tries are counted by who asks.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from pronk.http1 import AnswerTooLongError, Connection, Peer, Reply, Terms, connect
from pronk.media.fetched import Ask, FetchError, TransientError, too_large
from pronk.media.transport import Limits, Transport

_ERROR_BYTES = 65_536
_IDLE_SECONDS = 4.0
"""Stores close idle connections after 5 to 60 seconds; one that is closed while a request is under way costs a try."""


class Site(msgspec.Struct, frozen=True):
    """A store's address: where to connect, the ``Host`` header, and what stands before every path."""

    peer: Peer
    host: str
    prefix: str


class Got(msgspec.Struct, frozen=True, gc=False):
    """What a store answered: the whole body for a 200, of others at least the beginning."""

    status: int
    etag: str | None
    body: bytes


class Getter(Protocol):
    """Gets a `target` of a site, which begins with the site's prefix and is sent as it is spelled.

    Raises FetchError, TransientError, or what `ask.admit` raises; a body has at most `ask.max_bytes`.
    """

    async def get(self, site: Site, target: str, headers: Mapping[str, str], ask: Ask) -> Got:
        """Return the answer, whatever its status."""


class Proxied:
    """The way through the environment's proxies, where the operator wants them used."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self, site: Site, target: str, headers: Mapping[str, str], ask: Ask) -> Got:
        """Return the answer to a GET that a proxy may pass on."""
        scheme = "http" if site.peer.tls is None else "https"
        reply = await self._transport.get(f"{scheme}://{site.host}{target}", headers, ask)
        return Got(reply.status, reply.headers.get("etag"), reply.body)


class Direct:
    """Connections to any number of stores. `limits` are seconds for one GET. Close it with `close`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._idle: dict[Peer, list[Connection]] = {}
        self._loop = asyncio.get_running_loop()

    async def get(self, site: Site, target: str, headers: Mapping[str, str], ask: Ask) -> Got:
        """Return the answer to a GET."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = (
            f"GET {target} HTTP/1.1\r\nhost: {site.host}\r\nuser-agent: pronk\r\naccept: */*\r\n{lines}\r\n"
        )
        terms = Terms(
            within=self._limits.total,
            quiet=self._limits.first_byte,
            max_bytes=max(ask.max_bytes, _ERROR_BYTES),
            on_head=lambda status, heard: _admit(status, heard, ask),
        )
        try:
            connection, reply = await self._exchange(site.peer, head.encode("latin-1", "replace"), terms)
        except AnswerTooLongError as error:
            raise too_large(None, ask.max_bytes) from error
        except TimeoutError as error:
            raise TransientError("no answer in time") from error
        except ssl.SSLCertVerificationError as error:
            raise FetchError(
                "fetch_failed", "has a server without a certificate that can be trusted"
            ) from error
        except OSError as error:
            raise TransientError("the connection failed or broke off") from error
        self._push(site.peer, connection)
        if reply.status == 200 and len(reply.body) > ask.max_bytes:
            raise too_large(len(reply.body), ask.max_bytes)
        etag = reply.headers.get(b"etag")
        return Got(reply.status, etag.decode("latin-1") if etag is not None else None, reply.body)

    async def _exchange(self, peer: Peer, head: bytes, terms: Terms) -> tuple[Connection, Reply]:
        connection = self._pop(peer) or await connect(peer, within=self._limits.connect)
        return connection, await connection.exchange(head, b"", terms)

    def close(self) -> None:
        """Close the idle connections; those in use end with their fetches."""
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    def _pop(self, peer: Peer) -> Connection | None:
        idle = self._idle.get(peer)
        while idle:
            connection = idle.pop()
            if connection.is_open and self._loop.time() - connection.idle_since < _IDLE_SECONDS:
                return connection
            connection.abort()
        return None

    def _push(self, peer: Peer, connection: Connection) -> None:
        if connection.is_open:
            connection.idle_since = self._loop.time()
            self._idle.setdefault(peer, []).append(connection)


def site_of(url: str) -> Site:
    """Return the site of a base URL such as ``https://bucket.s3.eu-west-1.amazonaws.com``; FetchError for another kind."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _not_an_address() from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _not_an_address()
    secure = parts.scheme == "https"
    default = 443 if secure else 80
    peer = Peer(host=parts.hostname, port=port or default, tls=_trusted() if secure else None)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Site(peer, host if peer.port == default else f"{host}:{peer.port}", parts.path.removesuffix("/"))


@lru_cache(1)
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def _admit(status: int, headers: Mapping[bytes, bytes], ask: Ask) -> None:
    """Raise where a body is larger than may be, before it is read."""
    length = headers.get(b"content-length", b"")
    if status != 200 or not length.isdigit():
        return
    size = int(length)
    if size > ask.max_bytes:
        raise too_large(size, ask.max_bytes)
    ask.admit(size)


def _not_an_address() -> FetchError:
    return FetchError(
        "fetch_failed", "cannot be read: the endpoint of its bucket is not like https://host:port"
    )
