"""Plain HTTP requests over one aiohttp session: sizes capped while streaming, redirects and cookies left alone."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pronk.media.fetched import Ask, FetchError, TransientError, too_large

_CHUNK = 256 * 1024
_ERROR_BYTES = 4096


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that the steps of one request may take, and whether the environment's proxies are used.

    `ca_file` is a PEM file of authorities that are trusted besides the system's.
    """

    connect: float = 5.0
    first_byte: float = 10.0
    total: float = 60.0
    use_proxy: bool = False
    ca_file: str | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Status, headers (names in lower case) and the body: all of it for a 200, else the first few KiB."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def size(self) -> int | None:
        """How many bytes the whole object has, as far as the headers say."""
        span = self.headers.get("content-range") if self.status in {200, 206} else None
        text = span.rpartition("/")[2] if span else None
        if self.status == 200 and not span:
            text = self.headers.get("content-length")
        return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else None


class Doorkeeper(Protocol):
    """Decides which addresses may be dialled; both methods raise FetchError for what may not."""

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the checked addresses of `host`."""

    def check(self, address: str, port: int) -> None:
        """Check an address that is about to be dialled, or that was."""


class Transport:
    """An open session; make one with `open_transport`."""

    def __init__(self, session: aiohttp.ClientSession, doorkeeper: Doorkeeper | None) -> None:
        self._session = session
        self._doorkeeper = doorkeeper

    async def head(self, url: str) -> Reply:
        """Return the answer to an unsigned HEAD of `url`, whatever its status."""
        with _errors_mapped():
            async with self._session.head(URL(url, encoded=True), allow_redirects=False) as response:
                return Reply(status=response.status, headers=_lower(response.headers))

    async def get(self, url: str, headers: Mapping[str, str], ask: Ask) -> Reply:
        """Return the answer to a GET of `url` exactly as it is spelled."""
        with _errors_mapped():
            async with self._session.get(
                URL(url, encoded=True), headers=headers, allow_redirects=False
            ) as response:
                self._check_peer(response)
                good = response.status == 200
                body = await _read(response, ask) if good else await response.content.read(_ERROR_BYTES)
                return Reply(status=response.status, headers=_lower(response.headers), body=body)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Return the status of the answer to a POST; what else it says is not read, and the connection is not kept."""
        with _errors_mapped():
            response = await self._session.post(
                URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
            )
            try:
                self._check_peer(response)
                return response.status
            finally:
                response.close()

    async def peek(self, url: str, headers: Mapping[str, str], count: int, *, start: int = 0) -> Reply:
        """Return the answer to a GET of `count` bytes of `url`; a server that sends more is hung up on."""
        wanted = {**headers, "Range": f"bytes={start}-{start + count - 1}"}
        with _errors_mapped():
            async with self._session.get(
                URL(url, encoded=True), headers=wanted, allow_redirects=False
            ) as response:
                self._check_peer(response)
                good = response.status in {200, 206}
                if good and response.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise _compressed()
                body = await _read_some(response, count if good else _ERROR_BYTES)
                return Reply(status=response.status, headers=_lower(response.headers), body=body)

    def _check_peer(self, response: aiohttp.ClientResponse) -> None:
        connection = response.connection
        if self._doorkeeper is None or connection is None or connection.transport is None:
            return
        peer = connection.transport.get_extra_info("peername")
        self._doorkeeper.check(peer[0], peer[1])


@asynccontextmanager
async def open_transport(limits: Limits, doorkeeper: Doorkeeper | None = None) -> AsyncIterator[Transport]:
    """Give a Transport; with a `doorkeeper` nothing is dialled that it has not checked.

    With proxies it is the proxy that dials, and checking addresses is its work.
    """
    trusted = _trusting(limits.ca_file)
    connector = aiohttp.TCPConnector(limit=0, use_dns_cache=False, ssl=trusted)
    if limits.use_proxy:
        doorkeeper = None
    if doorkeeper is not None:
        connector = aiohttp.TCPConnector(
            limit=0,
            use_dns_cache=False,
            ssl=trusted,
            resolver=_Pinned(doorkeeper),
            socket_factory=_socket_factory(doorkeeper),
        )
    timeout = aiohttp.ClientTimeout(
        total=limits.total, sock_connect=limits.connect, sock_read=limits.first_byte
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=limits.use_proxy,
        headers={"User-Agent": "pronk", "Accept-Encoding": "identity"},
    ) as session:
        session._retry_connection = False  # noqa: SLF001  # tries are counted by who asks, and nobody else
        yield Transport(session, doorkeeper)


def _trusting(ca_file: str | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    return context


class _RefusedAddressError(OSError):
    """Carries a FetchError through the layers of a client that expect an OSError."""

    def __init__(self, refusal: FetchError) -> None:
        super().__init__("refused")
        self.refusal = refusal


class _Pinned(AbstractResolver):
    """Gives the client the checked addresses, so that what was checked is what is dialled."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002  # the client's signature
    ) -> list[ResolveResult]:
        try:
            addresses = await self._doorkeeper.addresses(host, port)
        except FetchError as refusal:
            raise _RefusedAddressError(refusal) from None
        return [_result(host, address, port) for address in addresses]

    async def close(self) -> None:
        """Nothing is held."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=numeric)


def _socket_factory(doorkeeper: Doorkeeper) -> Callable[[aiohttp.AddrInfoType], socket.socket]:
    def make(info: aiohttp.AddrInfoType) -> socket.socket:
        family, type_, proto, _, address = info
        try:
            doorkeeper.check(str(address[0]), int(address[1]))
        except FetchError as refusal:
            raise _RefusedAddressError(refusal) from None
        return socket.socket(family, type_, proto)

    return make


async def _read(response: aiohttp.ClientResponse, ask: Ask) -> bytes:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise _compressed()
    size = response.content_length
    if size is not None:
        if size > ask.max_bytes:
            raise too_large(size, ask.max_bytes)
        ask.admit(size)
    pieces, have = [], 0
    async for piece in response.content.iter_chunked(_CHUNK):
        have += len(piece)
        if have > ask.max_bytes:
            raise too_large(None, ask.max_bytes)
        pieces.append(piece)
    return b"".join(pieces)


async def _read_some(response: aiohttp.ClientResponse, count: int) -> bytes:
    pieces, have = [], 0
    while have < count and (piece := await response.content.read(count - have)):
        pieces.append(piece)
        have += len(piece)
    return b"".join(pieces)


def _compressed() -> FetchError:
    return FetchError("unsupported", "comes compressed although that was not asked for")


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class _errors_mapped:  # noqa: N801  # reads as the verb of a with statement
    """Turn the client's errors into ours; a class, because a generator costs more on the way that succeeds."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        cause = error
        while cause is not None:
            if isinstance(cause, _RefusedAddressError):
                raise cause.refusal from None
            cause = getattr(cause, "os_error", None) or cause.__cause__
        if isinstance(error, TimeoutError):
            raise TransientError("no answer in time") from error
        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
            raise FetchError(
                "fetch_failed", "has a server without a certificate that can be trusted"
            ) from error
        if isinstance(error, aiohttp.InvalidURL | ValueError):
            raise FetchError("unsupported", "is not a well-formed address") from error
        if isinstance(error, aiohttp.ClientError | OSError):
            raise TransientError("the connection failed or broke off") from error
