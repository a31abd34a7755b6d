"""Forms read as a stream: however the bytes are cut, the same parts come out."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from pronk.api.multipart import PartHead, read_multipart
from pronk.api.receiving import Received, receive_form
from pronk.domain.errors import InvalidRequestError, TooLargeError

pytestmark = pytest.mark.anyio


class Kept:
    """A blob in memory."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, data: bytes) -> None:
        self.pieces.append(data)


def request(
    chunks: Sequence[bytes], content_type: str = "multipart/form-data; boundary=B", *, is_cut: bool = False
) -> Request:
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append(
        {"type": "http.disconnect"} if is_cut else {"type": "http.request", "body": b"", "more_body": False}
    )
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"content-type", content_type.encode())],
    }
    return Request(scope, receive)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def part(name: str, data: bytes, more: str = "") -> bytes:
    return b'--B\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (
        name.encode(),
        more.encode(),
        data,
    )


async def parts_of(chunks: Sequence[bytes]) -> list[tuple[PartHead, bytes]]:
    found: list[tuple[PartHead, bytes]] = []
    async with aclosing(read_multipart(request(chunks))) as events:
        async for event in events:
            if isinstance(event, PartHead):
                found.append((event, b""))
            else:
                found[-1] = (found[-1][0], found[-1][1] + event)
    return found


TRICKY = st.binary(max_size=200) | st.sampled_from(
    [b"\r\n", b"--B", b"\r\n--", b"\r\n--C--\r\n", b"\r", b"--B--"[:-1]]
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["file", "purpose", "ü"]), TRICKY), min_size=1),
    st.lists(st.integers(0, 10_000), max_size=20),
)
async def test_any_cut_gives_the_same_parts(fields: list[tuple[str, bytes]], places: list[int]) -> None:
    fields = [(name, data) for name, data in fields if b"\r\n--B" not in b"\r\n" + data]
    body = b"".join(part(name, data) for name, data in fields) + b"--B--\r\n"
    if not fields:
        return
    assert await parts_of(cut(body, places)) == [(PartHead(name, None), data) for name, data in fields]


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('; filename="a b.jsonl"', "a b.jsonl"),
        ("; filename=plain.jsonl", "plain.jsonl"),
        ('; filename="naïve 猫.jsonl"', "naïve 猫.jsonl"),
        ('; filename="say \\"hi\\".jsonl"', 'say "hi".jsonl'),
        ('; filename="semi;colon=1.jsonl"', "semi;colon=1.jsonl"),
        ("; filename*=UTF-8''na%C3%AFve%20%E7%8C%AB.jsonl", "naïve 猫.jsonl"),
        ("; filename*=utf-8'en'a.jsonl", "a.jsonl"),
        ("; filename*=ISO-8859-1''na%EFve", "naïve"),
        ("; filename=\"fallback\"; filename*=UTF-8''%C3%BC", "ü"),
        ("; filename=\"fallback\"; filename*=KOI8-R''%C3%BC", "fallback"),
        ('; filename="C:\\\\folder\\\\a.jsonl"', "a.jsonl"),
        ('; filename=""', ""),
        ("", None),
    ],
)
async def test_filenames(disposition: str, filename: str | None) -> None:
    assert await parts_of([part("file", b"", disposition) + b"--B--\r\n"]) == [
        (PartHead("file", filename), b"")
    ]


async def test_a_filename_that_is_not_utf_8_is_read_as_latin_1() -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="file"; filename="na\xefve"\r\n\r\n\r\n--B--\r\n'
    assert await parts_of([body]) == [(PartHead("file", "naïve"), b"")]


async def receive(
    chunks: Sequence[bytes],
    *,
    limit: Callable[[Mapping[str, str]], int] = lambda _: 100,
    is_cut: bool = False,
) -> tuple[Received, bytes]:
    kept = Kept()
    received = await receive_form(request(chunks, is_cut=is_cut), kept, field="file", limit=limit)
    return received, b"".join(kept.pieces)


FILE = part("file", b"x" * 50, '; filename="dir/a.jsonl"')


async def test_a_form_with_a_file() -> None:
    other = part("other", b"ignored" * 100, '; filename="b"')
    received, data = await receive([other, part("purpose", b"batch"), FILE, part("k", b"v"), b"--B--\r\n"])
    digest = hashlib.sha256(b"x" * 50).hexdigest()
    assert received == Received({"purpose": "batch", "k": "v"}, "a.jsonl", 50, digest)
    assert data == b"x" * 50


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_the_limit_may_depend_on_a_field_that_comes_later(order: tuple[int, int]) -> None:
    def limit(fields: Mapping[str, str]) -> int:
        return 49 if fields.get("purpose") == "batch" else 100

    fields = (FILE, part("purpose", b"batch"))
    with pytest.raises(TooLargeError, match="49 bytes"):
        await receive([fields[order[0]], fields[order[1]], b"--B--\r\n"], limit=limit)


async def test_what_is_too_large_is_noticed_before_it_is_all_there() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield part("file", b"", '; filename="a"').removesuffix(b"\r\n")
        while True:
            yield b"x" * 1000

    chunks = endless()

    async def receive_chunk() -> Message:
        return {"type": "http.request", "body": await anext(chunks), "more_body": True}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"content-type", b"multipart/form-data; boundary=B")],
    }
    with pytest.raises(TooLargeError):
        await receive_form(Request(scope, receive_chunk), Kept(), field="file", limit=lambda _: 5000)


async def test_pieces_are_worth_a_write() -> None:
    kept = Kept()
    body = part("file", b"x" * 3_000_000, '; filename="a"') + b"--B--\r\n"
    chunks = [body[start : start + 65_536] for start in range(0, len(body), 65_536)]
    await receive_form(request(chunks), kept, field="file", limit=lambda _: 10**9)
    assert len(kept.pieces) <= 4
    assert max(map(len, kept.pieces)) < 1_200_000


async def test_a_client_that_goes_away() -> None:
    with pytest.raises(ClientDisconnect):
        await receive([FILE], is_cut=True)


async def test_a_form_that_is_cut() -> None:
    with pytest.raises(InvalidRequestError, match="last boundary"):
        await receive([FILE])
