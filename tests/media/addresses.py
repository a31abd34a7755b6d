"""Addresses and spellings of hosts that must never be reached, a few for each class that a guard has missed somewhere."""

# ruff: noqa: RUF001, S104  # letters that look like others are the point

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

SPECIAL_V4 = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "232.1.2.3",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
)

SPECIAL_V6 = (
    "::",
    "::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "febf::1",
    "fec0::1",
    "feff::1",
    "ff00::1",
    "ff02::1",
    "ff0e::1",
)

_EMBEDDED = (
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.1",
    "192.0.0.192",
    "168.63.129.16",
)


def embedded() -> Iterator[str]:
    """Yield IPv6 addresses that carry an inner IPv4 address in each of the known ways."""
    for text in _EMBEDDED:
        inner = int(ipaddress.IPv4Address(text))
        yield f"::ffff:{text}"
        for base in (0, 0xFFFF << 32, 0xFFFF << 48, 0x64FF9B << 96, (0x64FF9B << 96) | (1 << 80)):
            if base or inner > 1:
                yield str(ipaddress.IPv6Address(base | inner))
        yield str(ipaddress.IPv6Address((0x2002 << 112) | (inner << 80)))
        yield str(ipaddress.IPv6Address((0x2001 << 112) | (0x0102 << 80) | (inner ^ 0xFFFFFFFF)))
        for tag in (0x00005EFE, 0x02005EFE):
            yield str(ipaddress.IPv6Address((0x2A00 << 112) | (tag << 32) | inner))


LOOPBACK_SPELLINGS = (
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.0.0.01",
    "127.00.00.01",
    "00127.0.0.1",
    "0177.0.0.1",
    "0177.0.0.01",
    "0177.1",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7F.0x0.0x0.0x1",
    "0x7f000001",
    "0X7F000001",
    "017700000001",
    "2130706433",
    "2130706433.",
    "4294967297",
    "0",
    "0.0",
    "00000000",
    "0x0",
    "127。0。0。1",
    "127．0．0．1",
    "127｡0｡0｡1",
    "①②⑦.⓪.⓪.①",
    "１２７.０.０.１",
    "𝟏𝟐𝟕.𝟎.𝟎.𝟏",
    "127.0.0.1%00",
    "127.0.0.1%20",
    "127.0.0.1%2f",
    "127.0.0.1%09",
    "127%2e0%2e0%2e1",
    "%31%32%37.0.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::0001]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]",
    "[::127.0.0.1]",
    "[::1%25lo]",
    "[::1%lo]",
    "[fe80::1%251]",
    "[::1].",
    "[v1.::1]",
    "[127.0.0.1]",
    "::1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "LocalHost.LocalDomain",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "loca\N{LATIN SMALL LETTER L}\N{SOFT HYPHEN}host",
    "anything.localhost",
    "ip6-localhost",
    "ip6-loopback",
    "169.254.169.254",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "2852039166",
    "425.510.425.510",
    "169.254.43518",
    "metadata",
    "metadata.google.internal",
    "instance-data",
    "host.docker.internal",
    "kubernetes.default.svc",
)
"""Spellings of hosts; the names among them are told to the test's names, with inner addresses."""
