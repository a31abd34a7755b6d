"""What the first bytes of an object say: its type and, where they stand that early, the size of its picture."""

from __future__ import annotations

import struct
from collections.abc import Callable
from struct import unpack_from
from typing import Final

from pronk.domain.reference import Reference
from pronk.media.sniff import (
    BRANDS,
    JPEG_FRAMES,
    JPEG_STANDALONE,
    Looks,
    is_document,
    look_at_document,
    look_at_picture,
    look_at_sound_or_film,
    not_served,
)

HEAD_BYTES: Final = 4096
_MAGICS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)


def look_at_whole(reference: Reference, data: bytes) -> Looks:
    """Return what all the bytes of an object are; FetchError for what the reference may not name."""
    if reference.kind == "document" and (reference.pages is not None or is_document(data)):
        return look_at_document(data)
    if reference.kind in {"image", "document"}:
        return look_at_picture(data)
    return look_at_sound_or_film(data, reference.kind)


def look_at_head(reference: Reference, head: bytes) -> Looks:
    """Return what an object's first bytes say; 0 x 0 where they do not tell. FetchError for what cannot be right.

    Whether the object is cut or broken further behind is not seen.
    """
    if reference.kind == "document" and (reference.pages is not None or is_document(head)):
        return look_at_document(head + b"%%EOF")
    if reference.kind not in {"image", "document"}:
        return look_at_sound_or_film(head, reference.kind)
    type_ = _picture_type(head)
    try:
        width, height = _SIZES[type_](head) if type_ in _SIZES else (0, 0)
    except (struct.error, IndexError):
        width, height = 0, 0
    return Looks(type_, width, height)


def _picture_type(head: bytes) -> str:
    for magic, type_ in _MAGICS:
        if head.startswith(magic):
            return type_
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    boxed = BRANDS.get(head[8:12]) if head[4:8] == b"ftyp" else None
    if boxed is None:
        raise not_served(head)
    return boxed


def _png_size(head: bytes) -> tuple[int, int]:
    width, height = unpack_from(">II", head, 16)
    return width, height


def _gif_size(head: bytes) -> tuple[int, int]:
    width, height = unpack_from("<HH", head, 6)
    return width, height


def _jpeg_size(head: bytes) -> tuple[int, int]:
    at = 2
    while True:
        start, marker, length = unpack_from(">BBH", head, at)
        if start != 0xFF:
            return 0, 0
        if marker in JPEG_FRAMES:
            height, width = unpack_from(">HH", head, at + 5)
            return width, height
        at += 1 if marker == 0xFF else 2 if marker in JPEG_STANDALONE else 2 + length


def _webp_size(head: bytes) -> tuple[int, int]:
    kind = head[12:16]
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = unpack_from("<I", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = unpack_from("<HH", head, 26)
    return width & 0x3FFF, height & 0x3FFF


_SIZES: Final[dict[str, Callable[[bytes], tuple[int, int]]]] = {
    "image/png": _png_size,
    "image/gif": _gif_size,
    "image/jpeg": _jpeg_size,
    "image/webp": _webp_size,
}
