"""What a picture child is asked and what it answers, as MessagePack."""

from __future__ import annotations

import msgspec


class Change(msgspec.Struct, frozen=True, array_like=True, tag_field="what", tag="change"):
    """Bytes of this type as the first frame upright and at most `max_pixels` large (0 for any)."""

    data: bytes
    type: str
    max_pixels: int


class Draw(msgspec.Struct, frozen=True, array_like=True, tag_field="what", tag="draw"):
    """One page (from 1) of a PDF document, in `dpi` dots per inch or as many as fit into `max_pixels`."""

    data: bytes
    page: int
    dpi: int
    max_pixels: int


class Shrink(msgspec.Struct, frozen=True, array_like=True, tag_field="what", tag="shrink"):
    """Bytes of this type as a picture to look at: no longer than `edge` pixels, about `max_bytes` (0 for any)."""

    data: bytes
    type: str
    edge: int
    max_bytes: int


Work = Change | Draw | Shrink


class Changed(msgspec.Struct, frozen=True, array_like=True, tag_field="what", tag="changed"):
    """A picture encoded anew; `pages` is how many the document has from which it was drawn."""

    data: bytes
    type: str
    width: int
    height: int
    pages: int = 1


class Refused(msgspec.Struct, frozen=True, array_like=True, tag_field="what", tag="refused"):
    """`ending` completes the code (``invalid``, …), `why` the message."""

    ending: str
    why: str


Result = Changed | Refused
