from __future__ import annotations

import ipaddress
import random

import pytest

from pronk.media import addresses
from pronk.media.addresses import Guard, interface_addresses, is_plain_host, is_public

SPECIAL = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::808:808",
    "64:ff9b:1::7f00:1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2620:4f:8000::1",
    "3fff::1",
    "3fff:fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2600:1f18::5efe:7f00:1",
    "2600:1f18::200:5efe:a9fe:a9fe",
    "4000::1",
    "1::1",
    "e000::1",
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "126.255.255.255",
    "128.0.0.1",
    "168.63.129.15",
    "169.253.1.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "192.167.1.1",
    "198.17.1.1",
    "198.20.0.1",
    "223.255.255.255",
    "2600:1f18::1",
    "2a00:1450:4001::200e",
    "2606:4700::1111",
    "2001:4860:4860::8888",
    "2600:1f18::5efe:808:808",
    "2003::1",
]


@pytest.mark.parametrize("text", SPECIAL)
def test_special_addresses_are_refused(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))
    assert not Guard().may_reach(text, 443)


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_pass(text: str) -> None:
    assert Guard().may_reach(text, 443)


def test_never_less_strict_than_this_python() -> None:
    """A registry that Python learns of and the table does not would show here."""
    chance = random.Random(7)
    samples = [ipaddress.IPv4Address(chance.getrandbits(32)) for _ in range(20_000)]
    edges = [edge for network in addresses._V4 for edge in (network[0], network[-1])]
    sixes = [ipaddress.IPv6Address(chance.getrandbits(125) | 1 << 125) for _ in range(20_000)]
    everything: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = [*samples, *edges, *sixes]
    for address in everything:
        assert address.is_global or not is_public(address), address


@pytest.mark.parametrize("network", [str(network) for network in addresses._V4])
def test_every_disguise_of_every_special_ipv4_range_is_refused(network: str) -> None:
    low = int(ipaddress.ip_network(network)[0])
    disguises = [
        low,  # compatible
        0xFFFF << 32 | low,  # mapped
        0xFFFF << 48 | low,  # translated
        0x64FF9B << 96 | low,  # NAT64
        (0x64FF9B << 96) | (1 << 80) | low,  # NAT64, local use
        0x2002 << 112 | low << 80,  # 6to4
        0x20010000 << 96 | (low ^ 0xFFFFFFFF),  # Teredo
        0x26001F18 << 96 | 0x5EFE << 32 | low,  # ISATAP
        0x26001F18 << 96 | 0x02005EFE << 32 | low,
    ]
    assert not [disguise for disguise in disguises if is_public(ipaddress.IPv6Address(disguise))]


def test_an_operator_opens_networks_but_never_our_own_listeners() -> None:
    guard = Guard(["10.1.0.0/16", "127.0.0.0/8"], own=["203.0.114.9"], forbidden=[("127.0.0.1", 8000)])
    assert guard.may_reach("10.1.2.3", 443)
    assert guard.may_reach("::ffff:10.1.2.3", 443)
    assert not guard.may_reach("10.2.0.1", 443)
    assert guard.may_reach("127.0.0.1", 443)
    assert not guard.may_reach("127.0.0.1", 8000)
    assert not guard.may_reach("::ffff:127.0.0.1", 8000)
    assert not guard.may_reach("203.0.114.9", 443)


@pytest.mark.parametrize("where", ["0.0.0.0", "::", "127.0.0.1", "::1", "10.9.9.9"])  # noqa: S104
def test_a_port_of_ours_is_refused_at_every_address_of_this_machine(where: str) -> None:
    guard = Guard(["127.0.0.0/8", "0.0.0.0/8", "::1/128", "10.0.0.0/8"], ["10.9.9.9"], [(where, 8000)])
    for here in ("127.0.0.1", "127.3.2.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "10.9.9.9"):  # noqa: S104
        assert not guard.may_reach(here, 8000)
        assert guard.may_reach(here, 8001)
    assert guard.may_reach("10.9.9.8", 8000)


def test_a_port_of_another_machine_is_refused_there_only() -> None:
    guard = Guard(["127.0.0.0/8", "10.0.0.0/8"], ["10.9.9.9"], [("10.1.1.1", 5432)])
    assert not guard.may_reach("10.1.1.1", 5432)
    assert guard.may_reach("127.0.0.1", 5432)
    assert guard.may_reach("10.9.9.9", 5432)


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "2130706433", "fe80::1%eth0", "2600:1f18::1%eth0"]
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    assert not Guard().may_reach(text, 443)


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "0x7f.0x0.0x0.0x1",
        "017700000001",
        "127.0.0.01",
        "127.0.0.256",
        "1.2.3.4.5",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "\uff11\uff12\uff17.0.0.1",
        "⑯⑨。②⑤④",
        "a..b",
        ".a",
        "-a.b",
        "a-.b",
        "a_b!.c",
        "[::1",
        "::1]",
        "[::1%25eth0]",
        "[::g]",
        "a%41",
        "xn--☃",
        "0x",
        "1e100.0x7f",
        "EXAMPLE.org",
        "%31%32%37",
    ],
)
def test_other_spellings_of_hosts_are_refused(host: str) -> None:
    assert not is_plain_host(host)
    assert not is_plain_host("a." * 127 + "a")


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "a_b.example.org",
        "xn--bcher-kva.example",
        "1.2.3.4",
        "[2600::1]",
        "4u.example",
        "example.org.",
    ],
)
def test_plain_hosts_pass(host: str) -> None:
    assert is_plain_host(host)


def test_this_machine_knows_its_own_addresses() -> None:
    assert "127.0.0.1" in interface_addresses()
