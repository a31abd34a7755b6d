"""The quick way to the references of an ordinary body: decode it, then look for the strings that were found.

Where that could be mistaken it says so, and the body is walked token by token instead.
"""

from __future__ import annotations

from typing import cast

import msgspec

from pronk.domain.reference import Kind
from pronk.media.slot import Slot, string_value

RESPONSES_ENDPOINT = "/v1/responses"
_MANY = 16
"""Looking for each string costs a pass over the body; from here on one walk is cheaper."""
_TYPES = frozenset({b'"image_url"', b'"video_url"', b'"audio_url"'})


def find_quickly(body: bytes, endpoint: str) -> list[Slot] | None:
    """Decode, then look for the strings that were found; None where that could be mistaken, which is rare.

    It cannot be mistaken when no key can be hidden behind an escape, every key and every string of a reference occurs
    in `body` as often as it was found, and no such string could begin inside the white space between two tokens.
    """
    if b"\\u" in body:
        return None
    found = _Found()
    try:
        found.take(body, endpoint)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if body.count(b'_url"') != found.names or body.count(b'"url"') != found.urls:
        return None
    return _placed(body, found.strings)


def _placed(body: bytes, found: list[tuple[str, Kind, bytes]]) -> list[Slot] | None:
    tokens = [token for _, _, token in found]
    if len(tokens) > _MANY:
        return None
    slots, at = [], 0
    for path, kind, token in found:
        if not token[1:2].isalpha() or body.count(token) != (len(tokens) == 1 or tokens.count(token)):
            return None
        at = body.index(token, at)
        slots.append(Slot(path, kind, string_value(token), at, at + len(token)))
        at += len(token)
    return slots


class _Url(msgspec.Struct):
    url: msgspec.Raw = msgspec.Raw()


class _Part(msgspec.Struct):
    type: msgspec.Raw = msgspec.Raw()
    image_url: msgspec.Raw = msgspec.Raw()
    video_url: msgspec.Raw = msgspec.Raw()
    audio_url: msgspec.Raw = msgspec.Raw()


class _Item(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()


class _Chat(msgspec.Struct):
    messages: list[_Item] = []


class _Responses(msgspec.Struct):
    input: msgspec.Raw = msgspec.Raw()


_CHAT = msgspec.json.Decoder(_Chat)
_RESPONSES = msgspec.json.Decoder(_Responses)
_ITEMS = msgspec.json.Decoder(list[_Item])
_PARTS = msgspec.json.Decoder(list[_Part])
_ONE_PART = msgspec.json.Decoder(_Part)
_URL = msgspec.json.Decoder(_Url)


class _Found:
    """What decoding finds: the strings of references, and how often their keys must occur if nothing is hidden."""

    __slots__ = ("names", "strings", "urls")

    def __init__(self) -> None:
        self.strings: list[tuple[str, Kind, bytes]] = []
        self.names = 0
        self.urls = 0

    def take(self, body: bytes, endpoint: str) -> None:
        if endpoint == RESPONSES_ENDPOINT:
            items = bytes(_RESPONSES.decode(body).input)
            self._take_items("input", _ITEMS.decode(items) if items[:1] == b"[" else [])
        else:
            self._take_items("messages", _CHAT.decode(body).messages)

    def _take_items(self, root: str, items: list[_Item]) -> None:
        for number, item in enumerate(items):
            for name, raw in (("content", bytes(item.content)), ("output", bytes(item.output))):
                if raw[:1] == b"[":
                    for index, part in enumerate(_PARTS.decode(raw)):
                        self._take_part(f"{root}[{number}].{name}[{index}]", part)
                elif raw[:1] == b"{":
                    self._take_part(f"{root}[{number}].{name}", _ONE_PART.decode(raw))

    def _take_part(self, path: str, part: _Part) -> None:
        self.names += bytes(part.type) in _TYPES
        for name, kind, raw in (
            ("image_url", "image", bytes(part.image_url)),
            ("video_url", "video", bytes(part.video_url)),
            ("audio_url", "audio", bytes(part.audio_url)),
        ):
            if raw[:1] == b'"':
                self.names += 1
                self.strings.append((f"{path}.{name}", cast("Kind", kind), raw))
            elif raw[:1] == b"{":
                token = bytes(_URL.decode(raw).url)
                self.names += 1
                if token[:1] == b'"':
                    self.urls += 1
                    self.strings.append((f"{path}.{name}.url", cast("Kind", kind), token))
