"""Pictures from the web: every address checked, every name resolved once, every redirect looked at like a new reference.

A URL is parsed once and rebuilt from its parts, and the rebuilt one is what is sent, so that no two parsers can disagree.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urljoin

import anyio
import msgspec

from pronk.domain.bucket import WebRules
from pronk.domain.reference import Reference
from pronk.media.addresses import Guard, is_plain_host
from pronk.media.fetched import Ask, Fetched, FetchError, Glimpse, TransientError, status_failure
from pronk.media.head import HEAD_BYTES
from pronk.media.policy import url_fits
from pronk.media.signed_urls import without_signature
from pronk.media.transport import Reply, Transport

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""A name server: the addresses of a host; OSError if there are none."""

_URL = re.compile(r"(https?)://([^/?#]+)([^?#]*)(\?[^#]*)?(?:#.*)?", re.DOTALL)
_REFUSED = re.compile(r"[\x00-\x20\x7f\\]")
_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WHOLE = frozenset({200, 304})
_BEGINNING = frozenset({200, 206, 416})
_ACCEPT = {"Accept": "image/*, video/*, audio/*, application/pdf"}
_SAFE = "/:@!$&'()*+,;=-._~%[]|"


class Url(msgspec.Struct, frozen=True, kw_only=True):
    """An address on the web in parts that are known to be harmless."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    def __str__(self) -> str:
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.path}{self.query}"


class Door:
    """Looks names up and checks every address; a name with one bad address among good ones is refused."""

    def __init__(self, guard: Guard, lookup: Lookup, timeout: float) -> None:
        self._guard = guard
        self._lookup = lookup
        self._timeout = timeout

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of `host`, each of which may be reached."""
        try:
            with anyio.fail_after(self._timeout):
                found = await self._lookup(host, port)
        except (OSError, UnicodeError) as error:
            raise TransientError("its host name cannot be resolved") from error
        if not found:
            raise TransientError("its host name cannot be resolved")
        for address in found:
            self.check(address, port)
        return found

    def check(self, address: str, port: int) -> None:
        """Raise FetchError unless the address may be dialled."""
        if not self._guard.may_reach(address, port):
            raise FetchError("not_allowed", "points to an address that may not be reached")


class Web:
    """Reads https:// and, where the rules allow it, http:// references."""

    def __init__(self, rules: WebRules, transport: Transport, door: Door) -> None:
        self._rules = rules
        self._transport = transport
        self._door = door

    def name(self, reference: Reference) -> str:
        """Return the URL without the parts of its query that only sign it."""
        return without_signature(reference.text)

    def lane(self, reference: Reference) -> str:
        """Return what shares a limit of fetches: the host."""
        return reference.text.partition("//")[2].partition("/")[0]

    def identity(self, reference: Reference) -> None:
        """Nobody: nothing of the server's is ever shown to the web."""

    async def check(self, reference: Reference) -> None:
        """Raise FetchError for an address that would not be fetched, for the sake of an engine that will fetch it itself."""
        url = self.checked(reference.text)
        await self._door.addresses(url.host.strip("[]"), url.port)

    async def get(self, reference: Reference, ask: Ask) -> Fetched | None:
        """Read one picture in one try, following a few redirects; None if it is still the one that `ask.etag` names."""
        headers = _ACCEPT | ({"If-None-Match": ask.etag} if ask.etag else {})
        reply, via = await self._follow(
            reference, ask, lambda url: self._transport.get(url, headers, ask), _WHOLE
        )
        if reply.status == 304:
            return None
        return Fetched(data=reply.body, etag=reply.headers.get("etag"), via=via)

    async def look(self, reference: Reference, ask: Ask) -> Glimpse:
        """Return the first bytes of one picture in one try, following redirects as `get` does."""
        reply, via = await self._follow(
            reference, ask, lambda url: self._transport.peek(url, _ACCEPT, HEAD_BYTES), _BEGINNING
        )
        size = 0 if reply.status == 416 else reply.size
        return Glimpse(size=size, head=b"" if reply.status == 416 else reply.body, via=via)

    async def _follow(
        self,
        reference: Reference,
        ask: Ask,
        once: Callable[[str], Awaitable[Reply]],
        good: frozenset[int],
    ) -> tuple[Reply, tuple[str, ...]]:
        """Return the first answer with a `good` status, and the addresses to which we were sent on."""
        url = self.checked(reference.text)
        via: list[str] = []
        for _ in range(self._rules.max_redirects + 1):
            reply = await once(str(url))
            if reply.status in good and (reply.status != 304 or ask.etag is not None):
                return reply, tuple(via)
            if reply.status not in _REDIRECTS:
                raise status_failure(reply.status, retry_after=_seconds(reply.headers.get("retry-after")))
            url = self._next(url, reply.headers.get("location", ""), ask)
            via.append(str(url))
        raise FetchError("not_allowed", f"is sent on more than {self._rules.max_redirects} times")

    def _next(self, url: Url, location: str, ask: Ask) -> Url:
        try:
            target = self.checked(urljoin(str(url), location))
        except ValueError as error:
            raise FetchError("not_allowed", "is sent on to something that is no address") from error
        if url.scheme == "https" and target.scheme == "http":
            raise FetchError("not_allowed", "is sent on from https to http")
        if not all(url_fits(str(target), globs) for globs in ask.lists):
            raise FetchError("not_allowed", "is sent on to an address that this job may not read")
        return target

    def checked(self, text: str) -> Url:
        """Return the parts of an address that may be reached, as far as its text tells. Raises FetchError."""
        url = parse_url(text)
        if url.scheme == "http" and not self._rules.allow_http:
            raise FetchError("not_allowed", "uses http://, which is not allowed here; use https://")
        if url.port not in self._rules.ports:
            raise FetchError("not_allowed", f"uses port {url.port}, which is not allowed")
        if url.host[0] == "[" or url.host[-1].isdigit():
            literal = url.host.strip("[]")
            if literal.replace(".", "").isdigit() or url.host[0] == "[":
                self._door.check(literal, url.port)
        return url


def parse_url(text: str) -> Url:
    """Return the parts of `text`; FetchError for anything that two parsers could read differently."""
    found = _URL.fullmatch(text)
    if found is None or _REFUSED.search(text.rstrip(" ").replace(" ", "%20")):
        raise FetchError("unsupported", "is not a well-formed address")
    scheme, authority, path, query = found[1], found[2], found[3] or "/", found[4] or ""
    if "@" in authority:
        raise FetchError("not_allowed", "carries a user name or password, which is not allowed")
    host, port = _host_and_port(authority, scheme)
    if not is_plain_host(host):
        raise FetchError(
            "not_allowed", "has a host that is not a plain name; write international ones as xn--…"
        )
    return Url(
        scheme=scheme, host=host.removesuffix("."), port=port, path=_quoted(path), query=_quoted(query, "?")
    )


async def system_lookup(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def _host_and_port(authority: str, scheme: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?", authority)
    if found is None or not found[1]:
        raise FetchError("unsupported", "is not a well-formed address")
    port = int(found[2] or _PORTS[scheme])
    if not 0 < port < 65_536:
        raise FetchError("unsupported", "has a port that does not exist; ports go from 1 to 65535")
    return found[1].lower() if found[1].isascii() else found[1], port


def _quoted(text: str, also: str = "") -> str:
    return quote(text, safe=_SAFE + also, errors="surrogateescape")


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"[0-9]{1,6}", text) else None
