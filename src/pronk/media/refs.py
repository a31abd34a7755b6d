"""Find the media references of a request body and splice replacements in. Pure; never re-encodes JSON.

A reference stands in a part of a chat message (``messages[i].content[j].image_url.url``; also ``video_url`` and
``audio_url``) or of a Responses item (``input[i].content[j].image_url``, ``input[i].output[j].image_url``), as a string or
as an object with ``url``. Where a key is repeated every occurrence counts, because parsers differ in which one they take.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pronk.domain.reference import Kind
from pronk.media.glance import RESPONSES_ENDPOINT, find_quickly
from pronk.media.slot import Slot, string_value

_KINDS: dict[bytes, Kind] = {b"image_url": "image", b"video_url": "video", b"audio_url": "audio"}
_MEMBER = re.compile(rb'[ \t\n\r]*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"[ \t\n\r]*+:[ \t\n\r]*+', re.DOTALL)
_NEXT = re.compile(rb"[ \t\n\r]*+([,}\]])[ \t\n\r]*+")
_CLOSE = re.compile(rb"[ \t\n\r]*+[}\]]")
_SPACE = re.compile(rb"[ \t\n\r]*+")
_SCALAR = re.compile(rb'[^"\[\]{},: \t\n\r]++')
_STRUCTURE = re.compile(rb'["\[\]{}]')
_QUOTE, _BACKSLASH, _OPEN_LIST, _OPEN_OBJECT = b'"\\[{'


def names_media(body: bytes) -> bool:
    """Return whether `body` may hold a reference: quick, and never wrong when it says no (keys may be escaped)."""
    return b'_url"' in body or b"\\u" in body


def find_slots(body: bytes, endpoint: str, *, parts: bool = False) -> list[Slot]:
    """Return every reference of `body` in order of position; ValueError if it cannot be read as JSON.

    `part`, `part_end` and `has_uuid` of the slots are only filled in where `parts` asks for them.
    """
    if not parts and (quick := find_quickly(body, endpoint)) is not None:
        return quick
    return find_slowly(body, endpoint)


def find_slowly(body: bytes, endpoint: str) -> list[Slot]:
    """Walk the whole of `body` token by token: right for every JSON."""
    walk = _Walk(body)
    try:
        walk.body_of(b"input" if endpoint == RESPONSES_ENDPOINT else b"messages")
    except IndexError as error:
        raise ValueError("the JSON is cut off") from error
    return walk.slots


def splice(body: bytes, edits: Iterable[tuple[int, int, bytes | tuple[bytes, ...]]]) -> tuple[bytes, ...]:
    """Return `body` with each (start, end, replacement) applied; edits are in order and do not overlap.

    A replacement may come in pieces, as the answer does: they go to the engine as they are, and megabytes are not copied.
    """
    pieces: list[bytes] = []
    done = 0
    for start, end, replacement in edits:
        pieces.append(body[done:start])
        pieces += (replacement,) if isinstance(replacement, bytes) else replacement
        done = end
    pieces.append(body[done:])
    return tuple(pieces)


class _Walk:
    """One pass over the bytes; `pos` stands on a value whenever a name of it is handed out."""

    __slots__ = ("body", "pos", "slots")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.pos = _match(_SPACE, body, 0).end()
        self.slots: list[Slot] = []

    def body_of(self, root: bytes) -> None:
        if self.body[self.pos] != _OPEN_OBJECT:
            return
        for key in self.members():
            if key == root and self.body[self.pos] == _OPEN_LIST:
                for index in self.elements():
                    if self.body[self.pos] == _OPEN_OBJECT:
                        self.item(f"{root.decode()}[{index}]")

    def item(self, path: str) -> None:
        for key in self.members():
            if key not in {b"content", b"output"}:
                continue
            where = f"{path}.{key.decode()}"
            if self.body[self.pos] == _OPEN_LIST:
                for index in self.elements():
                    if self.body[self.pos] == _OPEN_OBJECT:
                        self.listed_part(f"{where}[{index}]")
            elif self.body[self.pos] == _OPEN_OBJECT:
                self.part(where)

    def listed_part(self, path: str) -> None:
        before = len(self.slots)
        self.part(path)
        if len(self.slots) == before + 1:
            self.slots[before].part_end = self.pos

    def part(self, path: str) -> None:
        start, first = self.pos + 1, len(self.slots)
        has_uuid = False
        for key in self.members():
            kind = _KINDS.get(key)
            if kind is None:
                has_uuid = has_uuid or key == b"uuid"
            elif self.body[self.pos] == _QUOTE:
                self.slot(f"{path}.{key.decode()}", kind, start)
            elif self.body[self.pos] == _OPEN_OBJECT:
                for inner in self.members():
                    if inner == b"url" and self.body[self.pos] == _QUOTE:
                        self.slot(f"{path}.{key.decode()}.url", kind, start)
        if has_uuid:
            for slot in self.slots[first:]:
                slot.has_uuid = True

    def slot(self, path: str, kind: Kind, part: int) -> None:
        start = self.pos
        self.pos = end = _string_end(self.body, start)
        self.slots.append(Slot(path, kind, string_value(self.body[start:end]), start, end, part))

    def members(self) -> Iterator[bytes]:
        """Hand out each key of the object at `pos`; a value that the caller leaves alone is stepped over."""
        body = self.body
        self.pos += 1
        if closed := _CLOSE.match(body, self.pos):
            self.pos = closed.end()
            return
        more = True
        while more:
            member = _match(_MEMBER, body, self.pos)
            self.pos = value = member.end()
            key = member[1]
            yield string_value(b'"%b"' % key).encode("utf-8", "surrogatepass") if b"\\" in key else key
            more = self.next_one(value)

    def elements(self) -> Iterator[int]:
        """Hand out each index of the list at `pos`; a value that the caller leaves alone is stepped over."""
        body = self.body
        self.pos = _match(_SPACE, body, self.pos + 1).end()
        if closed := _CLOSE.match(body, self.pos):
            self.pos = closed.end()
            return
        index, more = 0, True
        while more:
            value = self.pos
            yield index
            more = self.next_one(value)
            index += 1

    def next_one(self, value: int) -> bool:
        if self.pos == value:
            self.pos = _value_end(self.body, value)
        found = _match(_NEXT, self.body, self.pos)
        comma = found[1] == b","
        self.pos = found.end() if comma else found.start(1) + 1
        return comma


def _match(pattern: re.Pattern[bytes], body: bytes, pos: int) -> re.Match[bytes]:
    found = pattern.match(body, pos)
    if found is None:
        raise ValueError(f"not JSON at byte {pos}")
    return found


def _value_end(body: bytes, pos: int) -> int:
    first = body[pos]
    if first == _QUOTE:
        return _string_end(body, pos)
    if first not in (_OPEN_LIST, _OPEN_OBJECT):
        return _match(_SCALAR, body, pos).end()
    depth = 0
    while True:
        found = _STRUCTURE.search(body, pos)
        if found is None:
            raise IndexError(pos)
        at = found.start()
        char = body[at]
        pos = at + 1
        if char == _QUOTE:
            pos = _string_end(body, at)
        elif char in (_OPEN_LIST, _OPEN_OBJECT):
            depth += 1
        else:
            depth -= 1
            if not depth:
                return pos


def _string_end(body: bytes, start: int) -> int:
    """Return the offset behind the string that opens at `start`; searching for quotes outruns any pattern on long ones."""
    end = body.index(b'"', start + 1)
    while body[end - 1] == _BACKSLASH:
        slash = end - 1
        while body[slash] == _BACKSLASH:
            slash -= 1
        if (end - slash) % 2:
            break
        end = body.index(b'"', end + 1)
    return end + 1
