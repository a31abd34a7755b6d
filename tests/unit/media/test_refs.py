"""The finder agrees with a walk over decoded JSON, and splicing touches nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pronk.media.glance import find_quickly
from pronk.media.refs import find_slots, find_slowly, names_media, splice

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"

_words = st.sampled_from(
    ["image_url", "video_url", "audio_url", "url", "content", "output", "messages", "input", "type", "x"]
)
_texts = st.one_of(
    _words, st.text(), st.sampled_from(["s3://b/k", 's3://b/"k"\\', "s3://b/ü", "data:,", ":", ","])
)
_json = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | _texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_words | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
_url = st.one_of(_texts, st.fixed_dictionaries({"url": _texts}, optional={"detail": _texts}), _json)
_part = st.one_of(
    st.fixed_dictionaries(
        {"type": _words}, optional={"image_url": _url, "video_url": _url, "uuid": _texts, "x": _json}
    ),
    _json,
)
_item = st.one_of(
    st.fixed_dictionaries(
        {"role": _texts}, optional={"content": st.lists(_part, max_size=3) | _json, "output": _json}
    ),
    _json,
)
_bodies = st.fixed_dictionaries(
    {"model": _texts},
    optional={
        "messages": st.lists(_item, max_size=3),
        "input": st.lists(_item, max_size=3) | _json,
        "extra": _json,
    },
)
_styles = st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 1}, {"separators": (",", ":")}])


def walked(body: Any, root: str) -> list[tuple[str, str]]:
    """What a plain walk over decoded JSON finds."""
    found = []
    items = body.get(root) if isinstance(body, dict) else None
    for number, item in enumerate(items if isinstance(items, list) else []):
        for name in item if isinstance(item, dict) else ():
            if name in {"content", "output"}:
                found += _of_content(item[name], f"{root}[{number}].{name}")
    return found


def _of_content(value: Any, path: str) -> list[tuple[str, str]]:
    parts = [(path, value)] if isinstance(value, dict) else []
    if isinstance(value, list):
        parts = [(f"{path}[{index}]", part) for index, part in enumerate(value) if isinstance(part, dict)]
    found = []
    for where, part in parts:
        for name, inner in part.items():
            if name not in {"image_url", "video_url", "audio_url"}:
                continue
            if isinstance(inner, str):
                found.append((f"{where}.{name}", inner))
            elif isinstance(inner, dict) and isinstance(inner.get("url"), str):
                found.append((f"{where}.{name}.url", inner["url"]))
    return found


@given(_bodies, _styles, st.sampled_from([CHAT, RESPONSES]))
def test_finds_what_a_walk_over_decoded_json_finds(body: Any, style: dict[str, Any], endpoint: str) -> None:
    raw = _encoded(body, style)
    expected = walked(body, "input" if endpoint == RESPONSES else "messages")
    assert [(slot.path, slot.text) for slot in find_slowly(raw, endpoint)] == expected
    assert sorted((slot.path, slot.text) for slot in find_slots(raw, endpoint)) == sorted(expected)
    assert names_media(raw) or not expected


@given(_bodies, _styles, st.sampled_from([CHAT, RESPONSES]))
def test_the_quick_way_finds_the_same_places(body: Any, style: dict[str, Any], endpoint: str) -> None:
    raw = _encoded(body, style)
    quick = find_quickly(raw, endpoint)
    if quick is not None:
        places = [
            (slot.path, slot.kind, slot.text, slot.start, slot.end) for slot in find_slowly(raw, endpoint)
        ]
        assert sorted((slot.path, slot.kind, slot.text, slot.start, slot.end) for slot in quick) == sorted(
            places
        )


@given(_bodies, _styles)
def test_splicing_changes_the_references_and_no_other_byte(body: Any, style: dict[str, Any]) -> None:
    raw = _encoded(body, style)
    slots = find_slots(raw, CHAT)
    new = b"".join(splice(raw, [(slot.start, slot.end, (b'"X"',)) for slot in slots]))
    left, kept = [], 0
    for slot in slots:
        left.append(raw[kept : slot.start])
        kept = slot.end
    assert new == b'"X"'.join([*left, raw[kept:]])
    assert [slot.text for slot in find_slots(new, CHAT)] == ["X"] * len(slots)


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_finder(junk: bytes) -> None:
    for raw in (junk, b'{"messages":[{"content":[{"image_url":' + junk):
        try:
            find_slots(raw, CHAT)
        except ValueError:
            continue


@given(st.integers(min_value=0, max_value=400))
def test_a_body_cut_anywhere_is_refused(at: int) -> None:
    raw = json.dumps(
        {"messages": [{"content": [{"image_url": {"url": "s3://b/k"}}, {"text": "x" * 300}]}]}
    ).encode()
    cut = raw[: min(at, len(raw) - 1)]
    with pytest.raises(ValueError):
        find_slots(cut, CHAT)


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (
            b'{"messages":[{"content":[{"image_url":"s3://b/a","image_url":{"url":"s3://b/c"}}]}]}',
            ["s3://b/a", "s3://b/c"],
        ),
        (
            b'{"messages":[{"content":[{"image_url":{"url":"s3://b/a","url":"s3://b/c"}}]}]}',
            ["s3://b/a", "s3://b/c"],
        ),
        (
            b'{"messages":[{"content":[{"image_url":"s3://b/a"}]}],"messages":[{"content":[{"image_url":"s3://b/c"}]}]}',
            ["s3://b/a", "s3://b/c"],
        ),
        (b'{"messages":[{"content":[{"\\u0069mage_url":"s3://b/a"}]}]}', ["s3://b/a"]),
        (
            b'{"m\\u0065ssages":[{"content":[{"image_url":{"\\u0075rl":"s3:\\/\\/b\\/\\u00fc"}}]}]}',
            ["s3://b/ü"],
        ),
        (b'{"messages":[{"content":[{"image_url":{"url":"s3:\\/\\/b\\/k"}}]}]}', ["s3://b/k"]),
        (
            b'{"messages":[{"content":"image_url"},{"content":[{"text":"\\"image_url\\":\\"s3://b/a\\""}]}]}',
            [],
        ),
        (b'{"metadata":{"image_url":"s3://b/a"},"messages":[]}', []),
        (b'{"messages":[{"content":[{"image_url":":"}]}]}', [":"]),
    ],
)
def test_repeated_escaped_and_look_alike_keys(body: bytes, texts: list[str]) -> None:
    assert [slot.text for slot in find_slots(body, CHAT)] == texts
    assert names_media(body) or not texts


def test_numbers_order_escapes_and_unknown_fields_stay() -> None:
    raw = (
        b'{ "temperature":1.0e+00,"x":{"b":2,"a":1.50}, "messages":[{"role":"user","content":[{"image_url":'
        b' {"detail":"low","url":"s3://b/k"} ,"uuid":"u\\u00fc"}]}],"seed":9007199254740993}'
    )
    slots = find_slots(raw, CHAT, parts=True)
    assert b"".join(splice(raw, [(slots[0].start, slots[0].end, (b'"data:,"',))])) == raw.replace(
        b"s3://b/k", b"data:,"
    )
    assert slots[0].has_uuid
    assert raw[slots[0].part - 1 : slots[0].part + 11] == b'{"image_url"'


def test_a_very_deep_body_is_walked_without_recursion() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    raw = b'{"x":' + deep + b',"messages":[{"content":[{"image_url":"s3://b/k"}]}]}'
    assert [slot.text for slot in find_slots(raw, CHAT)] == ["s3://b/k"]


def test_a_screenshot_that_a_tool_returned_is_found() -> None:
    raw = b'{"input":[{"type":"computer_call_output","output":{"type":"computer_screenshot","image_url":"https://a/b"}}]}'
    assert [slot.path for slot in find_slots(raw, RESPONSES)] == ["input[0].output.image_url"]


def _encoded(body: Any, style: dict[str, Any]) -> bytes:
    return json.dumps(body, **style).encode("utf-8", "replace")
