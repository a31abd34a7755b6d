"""Which addresses may be reached. One pinned table, so that the answer is the same on every Python.

The table is made of IANA's registries of special-purpose addresses (both families), multicast, what clouds keep for
themselves, and every form in which an IPv6 address can carry an IPv4 one. ``ipaddress.is_global`` is not used: it calls
many of these global, and which ones changes between versions.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import pairwise
from pathlib import Path

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier NAT, and one cloud's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host agent
        "169.254.0.0/16",  # link-local, metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, and one cloud's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_V6_PUBLIC = IPv6Network("2000::/3")
"""Nothing outside it is public: loopback, mapped, compatible, translated, NAT64, private, link-local, site-local, multicast."""

_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
_DOTTED = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?")


class Guard:
    """Decides about addresses. `allowed` networks are reached although they are special; `own` ones, this machine's, are not.

    `forbidden` holds (address, port) pairs that nothing opens: our own listeners, engines and databases. The port of one that
    lies on this machine is refused at all addresses of the machine, because it may listen at all of them.
    """

    def __init__(
        self,
        allowed: Iterable[str] = (),
        own: Collection[str] = (),
        forbidden: Collection[tuple[str, int]] = (),
    ) -> None:
        self._allowed = tuple(ipaddress.ip_network(text) for text in allowed)
        self._own = frozenset(ipaddress.ip_address(text) for text in own)
        self._forbidden = frozenset((ipaddress.ip_address(text), port) for text, port in forbidden)
        self._own_ports = frozenset(port for address, port in self._forbidden if self._is_here(address))

    def may_reach(self, text: str, port: int) -> bool:
        """Return whether this address and port may be dialled; not for anything that is no address."""
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        seen = _unmapped(address)
        if (seen, port) in self._forbidden or (port in self._own_ports and self._is_here(seen)):
            return False
        if any(seen.version == network.version and seen in network for network in self._allowed):
            return True
        return "%" not in text and is_public(address) and seen not in self._own

    def _is_here(self, address: Address) -> bool:
        return address.is_loopback or address.is_unspecified or address in self._own


def is_public(address: Address) -> bool:
    """Return whether `address` is neither special nor a disguise of an IPv4 address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _V4)
    if address not in _V6_PUBLIC or any(address in network for network in _V6):
        return False
    low = int(address) & 0xFFFF_FFFF_FFFF_FFFF
    return low >> 32 not in _ISATAP or is_public(IPv4Address(low & 0xFFFF_FFFF))


def is_plain_host(host: str) -> bool:
    """Return whether `host` is a lower-case name or an address in its one plain spelling.

    Names that some client could take for a number (``127.1``, ``0x7f.1``, ``2130706433``) are none.
    """
    if host.startswith("["):
        return _is_plain_v6(host)
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    if _NUMBER.fullmatch(labels[-1]):
        return _DOTTED.fullmatch(host) is not None and all(int(label) < 256 for label in labels)
    return True


def interface_addresses() -> frozenset[str]:
    """Return the addresses of this machine as far as the system tells them."""
    found = set(_of_host_name())
    for before, line in pairwise(_lines("/proc/net/fib_trie")):
        if "host LOCAL" in line:
            found.add(before.split()[-1])
    for line in _lines("/proc/net/if_inet6"):
        found.add(str(IPv6Address(int(line.split()[0], 16))))
    return frozenset(found)


def _of_host_name() -> list[str]:
    try:
        return [str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(socket.gethostname(), None)]
    except OSError:
        return []


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("ascii").splitlines()
    except OSError:
        return []


def _is_plain_v6(host: str) -> bool:
    try:
        IPv6Address(host[1:-1])
    except ValueError:
        return False
    return host.endswith("]") and "%" not in host


def _unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped
