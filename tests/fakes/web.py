"""A web site that redirects, lies, drips and never ends, and a canary that notices who comes where nobody may."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import random
import socket
import ssl
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from tests.fakes.http1 import Listening, Manners, Reply, Request, Wait, open_server

AUTHORITY = Path(__file__).parent / "tls" / "authority.pem"
_SITE = Path(__file__).parent / "tls" / "site.pem"
_MEGABYTE = 1 << 20


def server_tls() -> ssl.SSLContext:
    """Return a server's side of TLS for ``*.example.test``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_SITE)
    return context


def client_tls() -> ssl.SSLContext:
    """Return a client's side that trusts our authority only."""
    return ssl.create_default_context(cafile=AUTHORITY)


@dataclass(slots=True)
class Site:
    """Pages by path (query not counted). `seen` keeps every request in order."""

    pages: dict[str, Reply | Callable[[Request], Reply]] = field(default_factory=dict)
    seen: list[Request] = field(default_factory=list)
    listening: Listening | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self.listening is not None
        return self.listening.port

    def page(self, path: str, body: bytes, content_type: str = "image/png", **manners: Any) -> None:
        """Serve `body`, as rudely as `manners` say."""
        self.pages[path] = Reply(200, (("content-type", content_type),), body, manners=Manners(**manners))

    def status(self, path: str, status: int, *headers: tuple[str, str]) -> None:
        """Answer with a bare status."""
        self.pages[path] = Reply(status, headers, b"no picture here")

    def redirect(self, path: str, to: str, status: int = 302) -> None:
        """Send clients elsewhere."""
        self.pages[path] = Reply(status, (("location", to),))

    def chain(self, path: str, hops: int, to: str, status: int = 302) -> str:
        """Redirect `hops` times before `to`; return the path to start from."""
        stops = [f"{path}/{hop}" for hop in range(hops)]
        for here, there in itertools.pairwise([*stops, to]):
            self.redirect(here, there, status)
        return stops[0]

    def stream(
        self, path: str, pieces: Callable[[], Iterator[bytes]], *headers: tuple[str, str], **manners: Any
    ) -> None:
        """Serve a body piece by piece."""
        self.pages[path] = Reply(200, headers, pieces=pieces, manners=Manners(**manners))

    def count(self, path: str) -> int:
        """Return how many requests came for a path."""
        return sum(request.path == path for request in self.seen)

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        self.seen.append(request)
        page = self.pages.get(request.path, Reply(404))
        return page(request) if callable(page) else page


@asynccontextmanager
async def open_site(
    *, host: str = "127.0.0.1", port: int = 0, is_secure: bool = False, wait: Wait = anyio.sleep
) -> AsyncIterator[Site]:
    """Serve a site until the block ends."""
    site = Site()
    tls = server_tls() if is_secure else None
    async with open_server(site.answer, host=host, port=port, tls=tls, wait=wait) as site.listening:
        yield site


def endless(piece: bytes = b"\0" * _MEGABYTE) -> Iterator[bytes]:
    """Yield the same piece for ever."""
    return itertools.repeat(piece)


def gzip_bomb(size: int = 1_000_000_000) -> Iterator[bytes]:
    """Yield about a thousandth of `size` bytes of gzip that unpack to `size` zeros; the same block again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(b"\0" * _MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    yield b"\x1f\x8b\x08\0\0\0\0\0\0\x03"
    yield from itertools.repeat(block, size // _MEGABYTE + 1)


def gzipped(body: bytes) -> bytes:
    """Return an honest gzip of `body`."""
    return gzip.compress(body)


@dataclass(slots=True)
class Canary:
    """Counts connections to where nothing of ours may connect."""

    port: int = 0
    addresses: tuple[str, ...] = ()
    visits: list[str] = field(default_factory=list)


@asynccontextmanager
async def open_canary(*, but: tuple[str, ...] = ()) -> AsyncIterator[Canary]:
    """Listen on every address of this machine except those in `but`, on one port, and note each connection."""
    canary = Canary()
    wanted = [address for address in local_addresses() if address not in but]
    async with AsyncExitStack() as stack:
        for server in await _listen_somewhere(canary, wanted):
            stack.callback(server.close)
        yield canary


async def _listen_somewhere(canary: Canary, addresses: list[str]) -> list[asyncio.Server]:
    """Try ports below those that outgoing connections get, until one is free on all addresses."""
    for _ in range(100):
        canary.port, canary.addresses = random.randrange(10_000, 32_000), tuple(addresses)
        servers: list[asyncio.Server] = []
        try:
            for address in addresses:
                servers += [await _listen(canary, address, canary.port)]
        except OSError:
            for server in servers:
                server.close()
        else:
            return servers
    raise OSError("no port is free on all addresses")


async def _listen(canary: Canary, address: str, port: int) -> asyncio.Server:
    def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        canary.visits.append(address)
        writer.transport.abort()

    return await asyncio.start_server(visit, address, port)


def local_addresses() -> list[str]:
    """Return loopback and this machine's own addresses of both families, as far as it has them."""
    candidates = ["127.0.0.1", "::1", *_own_addresses()]
    return [address for address in dict.fromkeys(candidates) if _can_bind(address)]


def _own_addresses() -> list[str]:
    found = []
    for family, outside in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((outside, 9))
            except OSError:
                continue
            found.append(probe.getsockname()[0])
    return found


def _can_bind(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


_watchers: list[list[str]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watchers:
        return
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        for seen in _watchers:
            seen.append(f"connect {arguments[1][0]}:{arguments[1][1]}")
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        for seen in _watchers:
            seen.append(f"look up {arguments[0]}")


@contextmanager
def watched_sockets() -> Iterator[list[str]]:
    """Collect every address that Python code of this process connects to, and every name it looks up."""
    if not getattr(_audit, "is_on", False):
        sys.addaudithook(_audit)
        _audit.is_on = True  # type: ignore[attr-defined]
    seen: list[str] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)
