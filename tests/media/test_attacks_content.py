"""Bytes that mean harm, whatever their address: refused for what they are, at a bounded cost, and nobody else suffers."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable

import pytest
from tests.fakes.http1 import Reply
from tests.fakes.web import endless, gzip_bomb, gzipped
from tests.media.attack import CODES, UNREAD, WARY, bounded_memory, refusals, watched_world
from tests.media.pictures import HOSTILE, POLYGLOTS, png, tiff_of_repeated_strips
from tests.media.world import CHAT, SITE_HOST, World, chat

from pronk.domain.bucket import WebRules
from pronk.domain.errors import MediaError
from pronk.domain.ids import DEFAULT_PROJECT
from pronk.domain.job import MediaPolicy
from pronk.media.fetched import FetchError
from pronk.media.line import Resolved
from pronk.media.sniff import look_at_picture

pytestmark = pytest.mark.anyio


async def test_hostile_pictures_are_refused_by_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch, WebRules(allow_http=True)) as world:
        for number, make in enumerate(HOSTILE.values()):
            world.aws.buckets["parts"].put(f"{number}", make())
        slow: dict[str, float] = {}
        wrong: dict[str, object] = {}
        for number, name in enumerate(HOSTILE):
            started = time.process_time()
            if fault := await refusals(world, [f"s3://parts/{number}"], UNREAD):
                wrong[name] = fault
            if (seconds := time.process_time() - started) > 0.25:
                slow[name] = seconds
        assert (wrong, slow) == ({}, {})
        assert isinstance(await world.outcome("s3://parts/good.png"), Resolved)


async def test_hostile_pictures_cost_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch, WebRules(allow_http=True)) as world:
        assert len(HOSTILE) >= 40
        for number, make in enumerate(HOSTILE.values()):
            world.aws.buckets["parts"].put(f"{number}", make())
            with bounded_memory(64):
                assert await refusals(world, [f"s3://parts/{number}"], UNREAD) == {}


async def test_hostile_pictures_in_data_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        small = {
            name: data
            for name, make in HOSTILE.items()
            if "000" not in name and len(data := make()) < 1_000_000
        }
        references = [f"data:image/png;base64,{base64.b64encode(data).decode()}" for data in small.values()]
        assert await refusals(world, references, UNREAD) == {}


async def test_pictures_that_are_something_else_too_stay_what_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with watched_world(monkeypatch) as world:
        for name, make in POLYGLOTS.items():
            world.aws.buckets["parts"].put(name, make())
        for name, answer in zip(
            POLYGLOTS, await world.outcomes([[f"s3://parts/{name}"] for name in POLYGLOTS]), strict=True
        ):
            if isinstance(answer, MediaError):
                assert answer.code in UNREAD
            else:
                assert re.search(rb'"data:image/(png|jpeg|gif);base64,', answer.body), name


BODIES: dict[str, Callable[[World], None]] = {
    "endless": lambda w: w.site.stream("/b", endless),
    "endless, claims little": lambda w: w.site.stream("/b", endless, claimed_length=100),
    "endless, claims much": lambda w: w.site.stream("/b", endless, claimed_length=10**12),
    "drip": lambda w: w.site.stream("/b", lambda: endless(b"\0"), between_pieces=0.05),
    "silent": lambda w: w.site.page("/b", b"", cut_after=-1, ending="stall"),
    "stalls": lambda w: w.site.page("/b", png(), cut_after=20, ending="stall"),
    "resets": lambda w: w.site.page("/b", png(), cut_after=20, ending="reset"),
    "cut": lambda w: w.site.page("/b", png(), cut_after=20),
    "says no length it keeps": lambda w: w.site.page("/b", png(), claimed_length=10**6, cut_after=10**6),
    "negative length": lambda w: w.site.page(
        "/b", b"", instead=b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nabc"
    ),
    "two lengths": lambda w: w.site.page(
        "/b", b"", instead=b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 900\r\n\r\nabc"
    ),
    "nonsense": lambda w: w.site.page("/b", b"", instead=b"\0\1\2\3\r\n\r\n"),
    "endless head": lambda w: w.site.page(
        "/b", b"", instead=b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 300_000
    ),
    "huge header": lambda w: w.site.page("/b", b"", instead=b"HTTP/1.1 200 OK\r\nx: " + b"a" * 5_000_000),
    "broken chunks": lambda w: w.site.page(
        "/b", b"", instead=b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n"
    ),
    "gzip bomb": lambda w: w.site.stream(
        "/b", gzip_bomb, ("content-encoding", "gzip"), ("content-type", "image/png")
    ),
    "gzip bomb as body": lambda w: w.site.stream("/b", gzip_bomb, ("content-type", "image/png")),
    "deflate": lambda w: w.site.stream("/b", gzip_bomb, ("content-encoding", "deflate")),
    "br": lambda w: w.site.stream("/b", gzip_bomb, ("content-encoding", "br, gzip, gzip")),
    "not modified, unasked": lambda w: w.site.status("/b", 304),
    "no content": lambda w: w.site.status("/b", 204),
    "part of it": lambda w: w.site.status("/b", 206, ("content-range", "bytes 0-5/100")),
    "teapot": lambda w: w.site.status("/b", 418),
    "unheard of": lambda w: w.site.status("/b", 999),
}


@pytest.mark.parametrize("name", BODIES)
async def test_bodies_cost_no_more_than_their_limit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        BODIES[name](world)
        policy = MediaPolicy(max_bytes=2_000_000)
        started = time.monotonic()
        with bounded_memory(40):
            wrong = await refusals(
                world, [f"http://{SITE_HOST}:{{site}}/b"], UNREAD | {"image_fetch_failed"}, policy
            )
        assert wrong == {}
        assert time.monotonic() - started < 4 * WARY.total_timeout + 4
        assert world.site.count("/b") <= 4
        assert isinstance(await world.outcome("s3://parts/good.png"), Resolved)


async def test_a_wrong_type_does_not_matter_and_a_right_one_does_not_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with watched_world(monkeypatch) as world:
        world.site.page("/a", png(), "text/html")
        world.site.page("/b", b"<html></html>", "image/png")
        base = f"http://{SITE_HOST}:{world.site.port}"
        answers = await world.outcomes([[f"{base}/a"], [f"{base}/b"]])
        assert isinstance(answers[0], Resolved)
        assert isinstance(answers[1], MediaError)
        assert answers[1].code == "image_invalid"


async def test_honest_compression_is_unpacked_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        world.site.pages["/z"] = Reply(200, (("content-encoding", "gzip"),), gzipped(png()))
        answer = await world.outcome(f"http://{SITE_HOST}:{world.site.port}/z")
        assert isinstance(answer, Resolved) or answer.code in UNREAD


def bodies_too_much() -> dict[str, bytes]:
    """Return requests that are too much by their shape alone."""
    parts = b",".join([b'{"type":"image_url","image_url":{"url":"s3://parts/good.png"}}'] * 10_000)
    deep = b"[" * 10_000 + b"]" * 10_000
    start = b'{"messages":[{"content":['
    return {
        "10,000 references": start + parts + b"]}]}",
        "10,000 deep": start + b'{"image_url":' + deep + b'},{"image_url":{"url":"s3://parts/none.png"}}]}]}',
        "100,000 open": b'{"a_url":1,"messages":' + b"[" * 100_000,
        "a reference of 10 MB": chat("s3://parts/" + "k" * 10_000_000),
        "a data URL of 30 MB": chat("data:image/png;base64," + "A" * 30_000_000),
        "cut short": start + b'{"image_url":{"url":"s3://parts/good.png"',
        "not JSON": b'{"messages": image_url"',
        "not UTF-8": start + b'{"image_url":{"url":"s3://parts/\xff\xfe"}}]}]}',
        "half a surrogate": start + b'{"image_url":{"url":"s3://parts/\\ud800"}}]}]}',
    }


@pytest.mark.parametrize("name", bodies_too_much())
async def test_requests_that_are_too_much(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = bodies_too_much()[name]
    async with watched_world(monkeypatch) as world:
        started = time.process_time()
        with pytest.raises(MediaError) as raised:
            await world.resolver.resolve(body, endpoint=CHAT, policy=MediaPolicy(), project=DEFAULT_PROJECT)
        assert time.process_time() - started < 2
        assert raised.value.code in CODES
        assert len(raised.value.message) < 600
        assert world.aws.count("GetObject", "parts", "good.png") <= 1


async def test_many_references_fetch_no_more_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        answer = await world.outcome(*["s3://parts/good.png"] * 500)
        assert isinstance(answer, Resolved)
        assert world.aws.count("GetObject", "parts", "good.png") == 1
        refused = await world.outcome(*["s3://parts/good.png"] * 501)
        assert isinstance(refused, MediaError)


def test_a_hostile_header_does_not_hold_the_loop_up() -> None:
    for data in (tiff_of_repeated_strips(), HOSTILE["jpeg of fill bytes"]()):
        started = time.process_time()
        with pytest.raises(FetchError):
            look_at_picture(data)
        assert time.process_time() - started < 0.2
