"""Where one reference stands in a body."""

from __future__ import annotations

import json

import msgspec

from pronk.domain.reference import Kind


class Slot(msgspec.Struct):
    """One reference: where its JSON string stands (quotes included) and what it says.

    `part` is the offset just behind the opening brace of its part; `has_uuid` whether the part brings its own uuid.
    `part_end` is the offset behind its closing brace, where others like it may follow: it stands in a list and names
    nothing else. -1 means unknown, or no such place.
    """

    path: str
    kind: Kind
    text: str
    start: int
    end: int
    part: int = -1
    has_uuid: bool = False
    part_end: int = -1


def string_value(token: bytes) -> str:
    """Return what the JSON string `token`, quotes included, says; ValueError if it is none."""
    return json.loads(token) if b"\\" in token else token[1:-1].decode()
