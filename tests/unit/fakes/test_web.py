"""The fake site, names and canary do what the tests that use them rely on."""

from __future__ import annotations

import itertools
import socket
import zlib

import aiohttp
import anyio
import pytest
from tests.fakes.dns import Names
from tests.fakes.web import client_tls, endless, gzip_bomb, open_canary, open_site, watched_sockets

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_chain_of_redirects_ends_where_it_says() -> None:
    async with open_site() as site, aiohttp.ClientSession() as client:
        site.page("/end.png", b"there")
        start = site.chain("/hop", 5, "/end.png", status=307)
        async with client.get(f"http://127.0.0.1:{site.port}{start}") as response:
            assert await response.read() == b"there"
        assert [request.path for request in site.seen] == [*(f"/hop/{n}" for n in range(5)), "/end.png"]


async def test_tls_is_trusted_by_those_who_know_the_authority() -> None:
    async with open_site(is_secure=True) as site:
        site.page("/a", b"safe")
        connector = aiohttp.TCPConnector(ssl=client_tls())
        async with aiohttp.ClientSession(connector=connector) as client:
            asked = client.get(f"https://127.0.0.1:{site.port}/a", server_hostname="img.example.test")
            async with asked as response:
                assert await response.read() == b"safe"


async def test_bodies_that_end_late_or_never_are_sent_as_fast_as_they_are_read() -> None:
    async with open_site() as site, aiohttp.ClientSession() as client:
        site.stream("/endless", endless)
        async with client.get(f"http://127.0.0.1:{site.port}/endless") as response:
            taken = await response.content.readexactly(5_000_000)
        assert len(taken) == 5_000_000
        assert site.listening is not None
        assert site.listening.traffic.bytes_sent < 50_000_000


def test_the_bomb_unpacks_to_what_it_says_and_is_small() -> None:
    packed = b"".join(itertools.islice(gzip_bomb(), 20))
    assert len(packed) < 30_000
    assert len(zlib.decompressobj(wbits=31).decompress(packed)) == 19 << 20


async def test_the_canary_and_the_watch_notice_every_connection() -> None:
    async with open_canary(but=("127.0.0.2",)) as canary:
        with watched_sockets() as seen:
            for address in canary.addresses:
                async with await anyio.connect_tcp(address, canary.port):
                    pass
            with socket.socket() as refused, pytest.raises(OSError):
                refused.connect(("127.0.0.1", 1))
        with anyio.fail_after(120):
            while len(canary.visits) < len(canary.addresses):
                await anyio.lowlevel.checkpoint()
        assert "127.0.0.1" in canary.visits
        assert "connect 127.0.0.1:1" in seen
        assert f"connect 127.0.0.1:{canary.port}" in seen


async def test_names_change_with_every_question() -> None:
    names = Names()
    names.add("rebind.test", ["93.184.216.34"], ["127.0.0.1"])
    assert [await names("rebind.test") for _ in range(3)] == [
        ["93.184.216.34"],
        ["127.0.0.1"],
        ["93.184.216.34"],
    ]
    with pytest.raises(OSError, match="no address"):
        await names("nobody.test")
    assert names.asked == {"rebind.test": 3, "nobody.test": 1}
