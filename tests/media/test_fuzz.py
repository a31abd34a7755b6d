"""Random bodies and random pictures: the finder agrees with a plain JSON parser, and nothing but a coded error comes out."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import lru_cache
from posixpath import normpath
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy
from PIL import Image
from tests.media.pictures import HOSTILE, saved
from yarl import URL

from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import Reference, parse_reference, shown
from pronk.media.fetched import FetchError
from pronk.media.pixels import change
from pronk.media.policy import check_allowed
from pronk.media.refs import find_slots, names_media, splice
from pronk.media.sniff import look_at_picture
from pronk.media.web import parse_url
from pronk.media.work import Refused

ENDPOINTS = ("/v1/chat/completions", "/v1/responses")
KEYS = ("image_url", "video_url", "audio_url")
FAST = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=90_000, deadline=None, suppress_health_check=list(HealthCheck))
LONG_BODIES = settings(LONG, max_examples=25_000)

texts = st.text(max_size=12)
names = st.sampled_from(
    [*KEYS, "url", "type", "content", "output", "messages", "input", "uuid", "detail", "role", ""]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts


class Pairs(list[tuple[str, Any]]):
    """A JSON object that may name a key more than once."""


def objects(values: SearchStrategy[Any], keys: SearchStrategy[str] = names | texts) -> SearchStrategy[Pairs]:
    return st.lists(st.tuples(keys, values), max_size=4).map(Pairs)


anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | objects(inner), max_leaves=12)
media = st.sampled_from(KEYS)
named = objects(texts | anything, st.just("url") | names)
parts = objects(texts | named | anything, media | names)
contents = st.lists(parts | anything, max_size=4) | parts | texts
items = objects(contents | anything, st.sampled_from(["content", "output", "role"]) | names)
bodies = objects(
    st.lists(items | anything, max_size=3) | anything, st.sampled_from(["messages", "input", "model"]) | names
)


@st.composite
def written(draw: st.DrawFn, value: Any) -> bytes:
    """Return `value` as JSON with blanks and escapes wherever JSON allows them."""

    def blank() -> str:
        return draw(st.sampled_from(["", "", "", " ", "\n", "\t\r "]))

    def text(of: str) -> str:
        escaped = draw(st.integers(0, 3))
        if escaped == 0:
            return '"' + "".join(f"\\u{unit:04x}" for unit in _units(of)) + '"'
        return json.dumps(of, ensure_ascii=escaped == 1).replace("/", "\\/" if escaped == 2 else "/")

    def write(of: Any) -> str:
        if isinstance(of, Pairs):
            inner = (f"{blank()}{text(k)}{blank()}:{blank()}{write(v)}{blank()}" for k, v in of)
            return "{" + (",".join(inner) or blank()) + "}"
        if isinstance(of, list):
            return "[" + (",".join(f"{blank()}{write(v)}{blank()}" for v in of) or blank()) + "]"
        return text(of) if isinstance(of, str) else json.dumps(of)

    return (blank() + write(value) + blank()).encode("utf-8", "surrogatepass")


def _units(text: str) -> list[int]:
    data = text.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]


def references(body: bytes, endpoint: str) -> list[str]:
    """Say what stands in a body, by way of a whole parse."""
    value = json.loads(body, object_pairs_hook=Pairs)
    root = "input" if endpoint == "/v1/responses" else "messages"
    found = []
    for item in _each(_values(value, root)):
        for content in (*_values(item, "content"), *_values(item, "output")):
            for part in (
                _each([content])
                if isinstance(content, list) and not isinstance(content, Pairs)
                else [content]
            ):
                found += list(_in_part(part))
    return found


def _values(value: Any, *keys: str) -> list[Any]:
    return [inner for key, inner in value if key in keys] if isinstance(value, Pairs) else []


def _each(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list) and not isinstance(value, Pairs):
            yield from value


def _in_part(part: Any) -> Iterator[str]:
    for value in _values(part, *KEYS):
        if isinstance(value, str):
            yield value
        yield from (url for url in _values(value, "url") if isinstance(url, str))


def check_finder(data: DataObject) -> None:
    """One body: the same references as a plain parser, nothing else touched, and never a false no."""
    body = data.draw(bodies.flatmap(written))
    for endpoint in ENDPOINTS:
        expected = references(body, endpoint)
        slots = find_slots(body, endpoint)
        assert sorted(slot.text for slot in slots) == sorted(expected)
        assert names_media(body) or not expected
        unchanged = b"".join(
            splice(body, [(slot.start, slot.end, body[slot.start : slot.end]) for slot in slots])
        )
        assert unchanged == body
        changed = b"".join(splice(body, [(slot.start, slot.end, b'"data:,"') for slot in slots]))
        assert references(changed, endpoint) == ["data:,"] * len(expected)


@FAST
@given(st.data())
def test_the_finder_agrees_with_a_parser(data: DataObject) -> None:
    check_finder(data)


def check_damaged(body: bytes, at: int, damage: bytes) -> None:
    """A body that is no JSON any more is a ValueError or is read as far as it goes; no other error, no endless loop."""
    at %= len(body) + 1
    for damaged in (body[:at], body[:at] + damage + body[at:], body[:at] + damage + body[at + len(damage) :]):
        for endpoint in ENDPOINTS:
            try:
                slots = find_slots(damaged, endpoint)
            except ValueError:
                continue
            assert all(0 <= slot.start < slot.end <= len(damaged) for slot in slots)


@FAST
@given(bodies.flatmap(written), st.integers(0, 10_000), st.binary(max_size=4))
def test_a_damaged_body_is_a_value_error(body: bytes, at: int, damage: bytes) -> None:
    check_damaged(body, at, damage)


@FAST
@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_error_at_most(body: bytes) -> None:
    check_damaged(body, 0, b"")


@pytest.mark.parametrize(
    "opening", [b"[", b'{"a":', b'{"messages":[{"content":[', b'[{"content":{"image_url":']
)
def test_depth_costs_neither_stack_nor_time(opening: bytes) -> None:
    for body in (
        opening * 10_000,
        b'{"messages":[{"content":[{"image_url":' + opening * 10_000,
        opening * 10_000 + b"]" * 10_000,
    ):
        check_damaged(body, 5, b"")


def parsed_or_code(text: str, kind: Any) -> Reference | str:
    try:
        return parse_reference(text, kind)
    except MediaError as error:
        return error.code


@FAST
@given(
    texts | st.from_regex(r"(s3|gs|az|https?|data|file)://?[\w./@:?#%\\ -]{0,40}"),
    st.sampled_from(["image", "video"]),
)
def test_a_reference_parses_or_has_a_code(text: str, kind: Any) -> None:
    parsed = parsed_or_code(text, kind)
    if isinstance(parsed, str):
        assert parsed == f"{kind}_unsupported"
        return
    assert isinstance(reference := parsed, Reference)
    assert reference.scheme != "s3" or (reference.bucket and reference.key and reference.key in text)


SECRET = "Sup3rSecret"


@FAST
@given(
    st.sampled_from(["https", "http", "ftp", "HTTPS", ""]),
    st.sampled_from(["://", ":/", ":", "://\\", ":///"]),
    st.sampled_from([f"user:{SECRET}@", f"{SECRET}@", f"a@{SECRET}@", ""]),
    st.text("abc./\\:@ ", max_size=6),
    st.sampled_from([f"?X-Amz-Signature={SECRET}", f"#token={SECRET}", f"?a#{SECRET}"]),
)
def test_what_is_shown_keeps_secrets(scheme: str, slashes: str, user: str, host: str, query: str) -> None:
    assert SECRET not in shown(f"{scheme}{slashes}{user}{host}/a.png{query}")


pieces = st.sampled_from(
    [
        "@",
        ":",
        "/",
        "\\",
        "?",
        "#",
        "[",
        "]",
        "%",
        "%2f",
        "%40",
        "%5c",
        ".",
        "..",
        "//",
        "\t",
        "\r\n",
        "\0",
        " ",
        "&",
        ";",
        "|",
        "^",
    ]
)
hosts = st.sampled_from(
    [
        "a.test",
        "127.0.0.1",
        "[::1]",
        "[::ffff:1.2.3.4]",
        "0x7f.1",
        "xn--a",
        "\u00e4.test",
        "\uff0f",
        "A.TEST",
        "a_b.test",
    ]
)
urls = st.builds(
    lambda scheme, parts: scheme + "".join(parts),
    st.sampled_from(["https://", "http://", "https:", "https:/", "https:///", "https:\\\\"]),
    st.lists(
        hosts | pieces | st.sampled_from(["80", "443", "a", "user", "1"]) | st.text(max_size=2), max_size=8
    ),
)


def check_url(text: str) -> bool:
    """A URL is refused (False), or every parser between us and the socket reads the same host and port in what is sent."""
    try:
        url = parse_url(text)
    except FetchError:
        return False
    sent = str(url)
    client, plain = URL(sent, encoded=True), urlsplit(sent)
    bare = url.host.strip("[]")
    assert (client.raw_host, plain.hostname) == (bare, bare)
    assert client.port == (plain.port or {"http": 80, "https": 443}[url.scheme]) == url.port
    assert client.raw_path_qs == (f"{plain.path}?{plain.query}" if plain.query else plain.path)
    assert sent.isascii()
    assert sent.isprintable()
    assert (client.user, client.password) == (None, None)
    return True


@settings(FAST, max_examples=250)
@given(urls)
def test_no_two_parsers_read_a_url_differently(text: str) -> None:
    check_url(text)


PIECES = (
    *(
        "https://",
        "http://",
        "https:\\\\",
        "https:///",
        "//",
        "/",
        "\\",
        "@",
        ":",
        "?",
        "#",
        "[",
        "]",
        "%",
        "%2f",
        "%40",
        "%5c",
    ),
    *(
        ".",
        "..",
        "\t",
        "\r\n",
        "\0",
        " ",
        "&",
        ";",
        "|",
        "^",
        "80",
        "443",
        "65536",
        "user",
        "a.test",
        "127.0.0.1",
        "[::1]",
    ),
    *(
        "[::ffff:1.2.3.4]",
        "0x7f.1",
        "xn--a",
        "\u00e4.test",
        "\uff0f",
        "A.TEST",
        "a_b.test",
        "\u2488",
        "\u00ad",
        "%25lo",
    ),
)


def check_random_urls(count: int) -> None:
    """Urls of pieces at random, many more than a generator that shrinks would give in the same time."""
    dice, draw = random.Random(6), random.Random(6).choices
    texts = (
        "https://" * (dice.random() < 0.8) + "".join(draw(PIECES, k=dice.randrange(1, 9)))
        for _ in range(count)
    )
    assert sum(map(check_url, texts)) > count / 100


def test_random_urls_are_read_in_one_way() -> None:
    check_random_urls(50_000)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
def test_a_million_random_urls_are_read_in_one_way() -> None:
    check_random_urls(1_000_000)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@LONG
@given(urls)
def test_urls_for_long(text: str) -> None:
    check_url(text)


keys = st.lists(
    st.sampled_from(["..", ".", "", "public", "private", "a.png", "%2e%2e", "..%2f", "\\", " ", "?"]),
    min_size=1,
    max_size=7,
)


@settings(FAST, max_examples=300)
@given(keys.map("/".join))
def test_no_spelling_of_a_key_climbs_out_of_what_is_allowed(key: str) -> None:
    policy = MediaPolicy(allow=("s3://tenant-a/public/*",))
    parsed = parsed_or_code(f"s3://tenant-a/{key}", "image")
    if isinstance(parsed, str):
        return
    try:
        check_allowed(parsed, policy)
    except MediaError as error:
        assert error.code == "image_not_allowed"  # noqa: PT017  # most draws are refused, some are not
        return
    assert parsed.key.startswith("public/")
    assert normpath(parsed.key).startswith("public")


@lru_cache(maxsize=1)
def seeds() -> list[bytes]:
    """Return small right pictures of every format, and the hostile ones that are small."""
    image = Image.new("RGB", (9, 7), (1, 2, 3))
    right = [saved(name, image) for name in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")]
    other = [make() for name, make in HOSTILE.items() if "000" not in name and "fill" not in name]
    return right + [data for data in other if len(data) < 100_000]


damaged_pictures = st.builds(
    lambda data, at, damage, end: (data[: at % len(data)] + damage + data[at % len(data) + len(damage) :])[
        :end
    ],
    st.sampled_from(range(len(seeds()))).map(lambda index: seeds()[index] or b"\0"),
    st.integers(0, 400) | st.integers(0, 100_000),
    st.binary(max_size=8) | st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"]),
    st.none() | st.integers(0, 200),
)


def looks_or_ending(data: bytes) -> tuple[int, int] | str:
    try:
        looks = look_at_picture(data)
    except FetchError as error:
        return error.ending
    return looks.width, looks.height


def check_look(data: bytes) -> None:
    """Whatever the bytes are, they are a picture with a size or there is one of our codes."""
    looks = looks_or_ending(data)
    assert looks in {"invalid", "unsupported", "too_large"} if isinstance(looks, str) else min(looks) > 0


@settings(FAST, max_examples=400)
@given(damaged_pictures)
def test_a_damaged_picture_has_a_size_or_a_code(data: bytes) -> None:
    check_look(data)


@settings(FAST, max_examples=150)
@given(damaged_pictures)
def test_a_damaged_picture_is_decoded_or_refused(data: bytes) -> None:
    try:
        looks = look_at_picture(data)
    except FetchError:
        return
    if looks.width * looks.height < 1_000_000:
        changed = change(data, looks.type, 0)
        assert isinstance(changed, Refused) or changed.data.startswith((b"\x89PNG", b"\xff\xd8\xff"))


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@LONG
@given(damaged_pictures)
def test_damaged_pictures_for_long(data: bytes) -> None:
    check_look(data)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@LONG_BODIES
@given(st.data())
def test_the_finder_for_long(data: DataObject) -> None:
    check_finder(data)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@LONG_BODIES
@given(bodies.flatmap(written), st.integers(0, 10_000), st.binary(max_size=4))
def test_damaged_bodies_for_long(body: bytes, at: int, damage: bytes) -> None:
    check_damaged(body, at, damage)
