"""What a picture looks like in 64 bits: whether each of 8 by 8 places is brighter than the one beside it. Run in the child.

Pictures that were scaled, encoded anew or touched up a little differ in few bits; others in about half of them.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import msgspec

EDGE: Final = 32
"""How long the pictures are that are looked at."""

NEAR: Final = 8
"""In how many of the 64 bits nearly identical pictures differ at most."""

_LEAST: Final = 2
"""By how many of 256 shades a place has to be brighter: less is noise of the encoding, in even areas above all."""

_ACROSS, _DOWN = 9, 8
_FORMATS: Final = ("WEBP", "PNG", "JPEG", "GIF", "BMP", "TIFF", "AVIF")


def take_looks(pictures: list[tuple[int, bytes]], into: str) -> int:
    """Write (line, look) for small pictures, None for one that cannot be looked at."""
    Path(into).write_bytes(msgspec.json.encode([(line, look_of(data)) for line, data in pictures]))
    return len(pictures)


def look_of(data: bytes) -> int | None:
    """Return the look of a picture that is no longer than twice `EDGE`."""
    from PIL import Image  # noqa: PLC0415 - for few questions only

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            if max(picture.size) > 2 * EDGE:
                return None
            flat = Image.new("RGBA", picture.size, "white")
            flat.alpha_composite(picture.convert("RGBA"))
            small = flat.convert("L").resize((_ACROSS, _DOWN), Image.Resampling.BOX)
    except Exception:  # noqa: BLE001 - whatever a decoder raises, there is no look
        return None
    grey = small.tobytes()
    bits = (
        grey[row * _ACROSS + column] > grey[row * _ACROSS + column + 1] + _LEAST
        for row in range(_DOWN)
        for column in range(_ACROSS - 1)
    )
    return sum(bit << place for place, bit in enumerate(bits))


def differing(one: int, other: int) -> int:
    """Return in how many bits two looks differ."""
    return (one ^ other).bit_count()
