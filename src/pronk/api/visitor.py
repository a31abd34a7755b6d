"""Where a request comes from, as far as the door looks: its peer's address, the name it calls the server by, and its page.

While nobody needs a key, a web site that somebody visits must not be able to use the server through the browser, under its own
name (DNS rebinding) or this machine's (forged requests).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

import msgspec
from starlette.requests import HTTPConnection

OWN_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the sender of a request.

    `address` is the peer's, or what a trusted proxy says of it. `host` is the one Host header, None when there is none or
    several. `is_forwarded` when some proxy has passed the request on.
    """

    address: str
    host: str | None
    origin: str | None = None
    site: str | None = None
    is_forwarded: bool = False

    @property
    def names_this_machine(self) -> bool:
        """Whether it calls the server by a name that only this machine's own programs have for it."""
        return self.host is not None and _name(self.host) in OWN_NAMES

    @property
    def is_of_a_foreign_page(self) -> bool:
        """Whether a browser sent it for a page of another site."""
        if self.site is not None and self.site not in {"same-origin", "none"}:
            return True
        return self.origin is not None and urlsplit(self.origin).netloc.lower() != (self.host or "").lower()

    @property
    def is_this_machine(self) -> bool:
        """Whether it came from this machine straight, by one of its own names."""
        return _is_loopback(self.address) and self.names_this_machine and not self.is_forwarded


def visitor_of(connection: HTTPConnection) -> Visitor:
    """Return who sent a request."""
    headers = connection.headers
    hosts = headers.getlist("host")
    return Visitor(
        address=connection.client.host if connection.client else "",
        host=hosts[0] if len(hosts) == 1 else None,
        origin=headers.get("origin"),
        site=headers.get("sec-fetch-site"),
        is_forwarded=any(name in headers for name in _FORWARDED),
    )


def _name(host: str) -> str | None:
    """Return the name in a Host header, None for what is none."""
    match = _HOST.fullmatch(host)
    if match is None or int(match[2] or 0) > 65535:
        return None
    return match[1].lower()


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
