"""GETs over our own connections: addresses, bounds before and while a body is read, connections kept and given up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import anyio
import anyio.abc
import pytest

from pronk.media.direct import Direct, site_of
from pronk.media.fetched import Ask, FetchError, TransientError
from pronk.media.transport import Limits

pytestmark = pytest.mark.anyio

LIMITS = Limits(connect=5.0, first_byte=5.0, total=5.0)
WHOLE = b'HTTP/1.1 200 OK\r\ncontent-length: 5\r\nETag: "one"\r\n\r\nhello'
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


class Store:
    """Answers every request with the next bytes and remembers what it was asked, by connection."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[bytes] = []
        self.asked: list[list[bytes]] = []

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        asked: list[bytes] = []
        self.asked.append(asked)
        async with stream:
            async for request in stream:
                asked.append(request)
                await stream.send(self.answers.pop(0))


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with serving() as store:
        yield store


@asynccontextmanager
async def serving() -> AsyncIterator[Store]:
    store = Store()
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, store.serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610  # not Django's
        store.url = f"http://127.0.0.1:{port}/base/"
        yield store
        group.cancel_scope.cancel()


def ask(max_bytes: int = 100, admit: Callable[[int], None] = lambda _: None) -> Ask:
    return Ask(max_bytes=max_bytes, admit=admit)


@pytest.mark.parametrize(
    ("url", "peer", "host", "prefix"),
    [
        (
            "https://b.s3.eu-west-1.amazonaws.com",
            ("b.s3.eu-west-1.amazonaws.com", 443),
            "b.s3.eu-west-1.amazonaws.com",
            "",
        ),
        ("http://minio:9000/b", ("minio", 9000), "minio:9000", "/b"),
        ("http://[::1]/b/", ("::1", 80), "[::1]", "/b"),
        ("https://[::1]:9000", ("::1", 9000), "[::1]:9000", ""),
    ],
)
def test_a_site_is_where_to_connect_and_what_to_say(
    url: str, peer: tuple[str, int], host: str, prefix: str
) -> None:
    site = site_of(url)
    assert ((site.peer.host, site.peer.port), site.host, site.prefix) == (peer, host, prefix)
    assert (site.peer.tls is not None) == url.startswith("https")


@pytest.mark.parametrize("url", ["minio:9000", "ftp://b", "http://", "http://b:no", "http://[::1"])
def test_another_kind_of_address_is_refused(url: str) -> None:
    with pytest.raises(FetchError, match="endpoint"):
        site_of(url)


async def test_a_connection_is_used_again(store: Store) -> None:
    store.answers = [WHOLE, CHUNKED]
    direct = Direct(LIMITS)
    site = site_of(store.url)
    sizes: list[int] = []
    one = await direct.get(site, "/base/a%20b", {"x-a": "1"}, ask(admit=sizes.append))
    other = await direct.get(site, "/base/c", {}, ask(admit=sizes.append))
    direct.close()
    assert (one.status, one.etag, one.body) == (200, '"one"', b"hello")
    assert (other.etag, other.body, sizes) == (None, b"hello", [5])
    [asked] = store.asked
    assert asked[0].startswith(b"GET /base/a%20b HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"\r\nx-a: 1\r\n\r\n" in asked[0]


@pytest.mark.parametrize("answer", [WHOLE, CHUNKED])
async def test_more_bytes_than_may_be_are_not_taken(store: Store, answer: bytes) -> None:
    store.answers = [answer]
    direct = Direct(LIMITS)
    with pytest.raises(FetchError, match="limit of 4 bytes"):
        await direct.get(site_of(store.url), "/a", {}, ask(max_bytes=4))
    direct.close()


async def test_who_asks_may_refuse_a_size(store: Store) -> None:
    store.answers = [WHOLE]
    direct = Direct(LIMITS)

    def refuse(size: int) -> None:
        raise FetchError("too_large", f"no room for {size}")

    with pytest.raises(FetchError, match="no room for 5"):
        await direct.get(site_of(store.url), "/a", {}, ask(admit=refuse))
    direct.close()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", b"", b"220 ftp ready\r\n"]
)
async def test_an_answer_that_is_none_may_pass(answer: bytes) -> None:
    async def serve(stream: anyio.abc.SocketStream) -> None:
        await stream.receive()
        await stream.send(answer)
        await stream.aclose()

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610  # not Django's
        with pytest.raises(TransientError, match="broke off"):
            await Direct(LIMITS).get(site_of(f"http://127.0.0.1:{port}"), "/a", {}, ask())
        group.cancel_scope.cancel()


async def test_silence_ends_a_fetch_long_before_its_time_is_over(store: Store) -> None:
    store.answers = [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"]
    direct = Direct(Limits(connect=5.0, first_byte=0.05, total=60.0))
    with pytest.raises(TransientError, match="in time"):
        await direct.get(site_of(store.url), "/a", {}, ask())


async def test_silence_is_noticed_on_a_connection_that_was_used_before(store: Store) -> None:
    store.answers = [WHOLE, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"]
    direct = Direct(Limits(connect=5.0, first_byte=0.2, total=60.0))
    assert (await direct.get(site_of(store.url), "/a", {}, ask())).body == b"hello"
    with pytest.raises(TransientError, match="in time"):
        await direct.get(site_of(store.url), "/a", {}, ask())
    assert len(store.asked) == 1


async def test_nobody_listening_may_pass() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610  # not Django's
    with pytest.raises(TransientError, match="connection failed"):
        await Direct(LIMITS).get(site_of(f"http://127.0.0.1:{port}"), "/a", {}, ask())


BIG = bytes(range(256)) * 4_000


class SlowStore(Store):
    """Sends its answers in pieces, each once the one before has been read; `cut` ends the connection before the last."""

    pieces: tuple[int, ...] = ()
    cut = False

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        self.asked.append([])
        async with stream:
            async for request in stream:
                self.asked[-1].append(request)
                answer = self.answers.pop(0)
                edges = [0, *self.pieces, len(answer)]
                for begin, end in list(pairwise(edges))[: -1 if self.cut else None]:
                    await stream.send(answer[begin:end])
                    await anyio.wait_all_tasks_blocked()
                if self.cut:
                    return


def big(body: bytes = BIG, head: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%b\r\n%b" % (len(body), head, body)


@asynccontextmanager
async def slow(pieces: tuple[int, ...], *, cut: bool = False) -> AsyncIterator[tuple[SlowStore, Direct]]:
    store = SlowStore()
    store.pieces, store.cut = pieces, cut
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, store.serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610  # not Django's
        store.url = f"http://127.0.0.1:{port}/base/"
        direct = Direct(LIMITS)
        yield store, direct
        direct.close()
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    "pieces", [(), (20,), (60,), (100, 200, 70_000), (900_000,), (len(big()) - 1,), (50, len(big()) - 65_536)]
)
async def test_a_large_body_comes_whole_however_it_is_cut_and_its_connection_is_used_again(
    pieces: tuple[int, ...],
) -> None:
    async with slow(pieces) as (store, direct):
        store.answers = [big(), WHOLE, big(BIG[::-1]), CHUNKED, big(b"x" * 65_000)]
        site = site_of(store.url)
        got = [(await direct.get(site, "/base/k", {}, ask(2_000_000))).body for _ in range(5)]
    assert got == [BIG, b"hello", BIG[::-1], b"hello", b"x" * 65_000]
    assert [len(asked) for asked in store.asked] == [5]


async def test_a_store_that_closes_after_a_large_body_is_not_asked_there_again() -> None:
    async with slow((500_000,)) as (store, direct):
        store.answers = [big(head=b"connection: close\r\n"), big()]
        site = site_of(store.url)
        got = [(await direct.get(site, "/base/k", {}, ask(2_000_000))).body for _ in range(2)]
    assert got == [BIG, BIG]
    assert [len(asked) for asked in store.asked] == [1, 1]


@pytest.mark.parametrize("pieces", [(300_000,), (len(big()) - 1,)])
async def test_a_large_body_that_is_cut_off_may_pass(pieces: tuple[int, ...]) -> None:
    async with slow(pieces, cut=True) as (store, direct):
        store.answers = [big()]
        with pytest.raises(TransientError):
            await direct.get(site_of(store.url), "/base/k", {}, ask(2_000_000))


async def test_who_leaves_in_the_middle_of_a_large_body_leaves_no_connection() -> None:
    async with slow((300_000,)) as (store, direct), anyio.create_task_group() as group:
        store.answers = [big(), big()]
        site = site_of(store.url)
        admitted = anyio.Event()
        group.start_soon(direct.get, site, "/base/k", {}, ask(2_000_000, lambda _: admitted.set()))
        await admitted.wait()
        group.cancel_scope.cancel()
    assert direct._idle == {}
