"""What bytes are, by their magic and their headers: type, dimensions, and whether the end is missing. Decodes nothing.

Names no library: every format is read as its specification lays it out, and every read is bounded by the bytes there are.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from functools import partial
from struct import unpack_from

import msgspec

from pronk.media.fetched import FetchError

_MAX_TEXT = 1 << 20
_MAX_ALL_TEXT = 8 << 20
_MAX_STEPS = 50_000
_PDF_SLACK = 4096
"""How much else may stand before the first and behind the last line of a PDF; readers have always allowed some."""
_MAX_STRIPS = 200_000
_MAX_TAGS = 4096
_PNG_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_TIFF_TAGS = frozenset({256, 257, 273, 279, 324, 325})
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})


class Looks(msgspec.Struct, frozen=True):
    """A media type and, for pictures, the size in pixels as stored (before any rotation).

    `is_plain` is false for what engines refuse: BMP, TIFF, AVIF, HEIC, four colours, sixteen bits. `pages` is how many the
    document has of which this is one, drawn.
    """

    type: str
    width: int = 0
    height: int = 0
    is_plain: bool = True
    pages: int = 1


def look_at_picture(data: bytes) -> Looks:
    """Return what picture `data` is; FetchError ``invalid`` for what is none or is cut, ``unsupported`` for other formats."""
    if not data:
        raise FetchError("invalid", "is empty")
    for magic, read in _READERS:
        if data.startswith(magic):
            return _read(read, data)
    if data[4:8] == b"ftyp" and (type_ := BRANDS.get(data[8:12])):
        return _read(partial(_boxed, type_), data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _read(_webp, data)
    raise not_served(data)


def look_at_sound_or_film(data: bytes, kind: str) -> Looks:
    """Return the type of a video or an audio file by its first bytes; FetchError as for pictures."""
    if not data:
        raise FetchError("invalid", "is empty")
    for kinds, magics, type_ in _FILMS:
        if kind in kinds and any(data[at : at + len(magic)] == magic for at, magic in magics):
            return Looks(type_)
    raise FetchError(
        "invalid", f"is not {'a video' if kind == 'video' else 'an audio file'} of a known format"
    )


def is_document(data: bytes) -> bool:
    """Return whether `data` says that it is a PDF document."""
    return data.find(b"%PDF-", 0, _PDF_SLACK) >= 0


def look_at_document(data: bytes) -> Looks:
    """Return that `data` is a PDF document; FetchError ``invalid`` for what is none or is cut."""
    if not data:
        raise FetchError("invalid", "is empty")
    if not is_document(data):
        raise FetchError("invalid", "is not a PDF document")
    if b"%%EOF" not in data[-_PDF_SLACK:]:
        raise _cut()
    return Looks("application/pdf")


def _read(read: Callable[[bytes], Looks], data: bytes) -> Looks:
    try:
        looks = read(data)
    except (struct.error, IndexError) as error:
        raise _cut() from error
    if looks.width < 1 or looks.height < 1:
        raise FetchError("invalid", "has no pixels")
    return looks


def _png(data: bytes) -> Looks:
    length, name, width, height, depth, color, *rest = unpack_from(">I4sIIBBBBB", data, 8)
    if (
        length != 13
        or name != b"IHDR"
        or depth not in _PNG_DEPTHS.get(color, ())
        or rest[0]
        or rest[1]
        or rest[2] > 1
    ):
        raise FetchError("invalid", "has a broken PNG header")
    at, has_pixels, text_left = 33, False, _MAX_ALL_TEXT
    for _ in range(_MAX_STEPS):
        length, name = unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise _cut()
        if name == b"IEND":
            break
        if name == b"IDAT":
            has_pixels = has_pixels or length > 0
        elif name in {b"zTXt", b"iTXt"}:
            text_left -= _inflated(name, data[at + 8 : end - 4], min(_MAX_TEXT, text_left))
        at = end
    else:
        raise _endless()
    if not has_pixels:
        raise _cut()
    return Looks("image/png", width, height, depth < 16)


def _inflated(name: bytes, chunk: bytes, limit: int) -> int:
    """Return the size of a chunk's text unpacked; FetchError beyond `limit`, for a few kilobytes can hold a gigabyte."""
    start = chunk.find(b"\0") + 2
    if name == b"iTXt":
        if chunk[start - 1 : start] == b"\0":
            return 0
        start = chunk.find(b"\0", chunk.find(b"\0", start + 1) + 1) + 1
    try:
        size = len(zlib.decompressobj().decompress(chunk[start:], limit + 1))
    except zlib.error:
        return 0
    if size > limit:
        raise FetchError("too_large", "holds compressed text that unpacks to more than decoders take")
    return size


def _jpeg(data: bytes) -> Looks:
    at, size = 2, None
    for _ in range(_MAX_STEPS):
        start, marker, length = unpack_from(">BBH", data, at)
        if start != 0xFF:
            raise FetchError("invalid", "has a broken JPEG header")
        if marker == 0xFF:
            at += 1
            continue
        if marker in JPEG_STANDALONE:
            at += 2
            continue
        if marker == 0xD9:
            raise _cut()
        if marker in JPEG_FRAMES:
            size = unpack_from(">HHB", data, at + 5)
        at += 2 + length
        if marker == 0xDA:
            break
    else:
        raise _endless()
    if size is None:
        raise FetchError("invalid", "has a broken JPEG header")
    if not data.endswith(b"\xff\xd9") and data.find(b"\xff\xd9", at) < 0:
        raise _cut()
    return Looks("image/jpeg", size[1], size[0], size[2] < 4)


def _gif(data: bytes) -> Looks:
    width, height, flags = unpack_from("<HHB", data, 6)
    at = 13 + _gif_palette(flags)
    steps = 0
    while data[at] == 0x21:
        at += 2
        while data[at]:
            at, steps = at + 1 + data[at], steps + 1
        at, steps = at + 1, steps + 1
        if steps > _MAX_STEPS:
            raise _endless()
    if data[at] != 0x2C:
        raise _cut()
    inner_width, inner_height, flags = unpack_from("<HHB", data, at + 5)
    if not data.endswith(b"\x00;") and data.rfind(b"\x00;", at) < 0:
        raise _cut()
    return Looks("image/gif", max(width, inner_width), max(height, inner_height))


def _gif_palette(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _webp(data: bytes) -> Looks:
    (length,) = unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise _cut()
    name, (size,) = data[12:16], unpack_from("<I", data, 16)
    if name == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return Looks("image/webp", width, height)
    if 20 + size > len(data):
        raise _cut()
    if name == b"VP8L" and data[20] == 0x2F:
        (bits,) = unpack_from("<I", data, 21)
        return Looks("image/webp", (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1)
    if name == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = unpack_from("<HH", data, 26)
        return Looks("image/webp", width & 0x3FFF, height & 0x3FFF)
    raise FetchError("invalid", "has a broken WebP header")


def _boxed(type_: str, data: bytes) -> Looks:
    """AVIF and HEIC; a picture made of tiles says the size of a tile, too, so the largest one counts."""
    at = 0
    for _ in range(_MAX_STEPS):
        if at == len(data):
            break
        (length,) = unpack_from(">I", data, at)
        if length == 1:
            (length,) = unpack_from(">Q", data, at + 8)
        at = at + length if length else len(data)
        if at > len(data):
            raise _cut()
    sizes = [unpack_from(">II", data, found.end() + 4) for found in re.finditer(b"ispe", data[:_MAX_TEXT])]
    if not sizes:
        raise FetchError("invalid", f"has a broken {type_.rpartition('/')[2].upper()} header")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return Looks(type_, width, height, is_plain=False)


def _bmp(data: bytes) -> Looks:
    offset, header = unpack_from("<II", data, 10)
    if header == 12:
        width, height, _, bits = unpack_from("<HHHH", data, 18)
        packing = 0
    elif header in {40, 52, 56, 64, 108, 124}:
        width, height, _, bits, packing = unpack_from("<iiHHI", data, 18)
    else:
        raise FetchError("invalid", "has a broken BMP header")
    height = abs(height)
    if packing in {0, 3, 6} and offset + (width * bits + 31) // 32 * 4 * height > len(data):
        raise _cut()
    return Looks("image/bmp", width, height, is_plain=False)


def _tiff(data: bytes) -> Looks:
    order = "<" if data[:2] == b"II" else ">"
    (at,) = unpack_from(f"{order}I", data, 4)
    (count,) = unpack_from(f"{order}H", data, at)
    if count > _MAX_TAGS:
        raise _endless()
    tags: dict[int, tuple[int, ...]] = {}
    for index in range(count):
        tag, kind, number = unpack_from(f"{order}HHI", data, at + 2 + 12 * index)
        if tag in _TIFF_TAGS and tag not in tags:
            tags[tag] = _tiff_values(data, order, (kind, number, at + 10 + 12 * index))
    for starts, sizes in ((273, 279), (324, 325)):
        if any(
            start + size > len(data)
            for start, size in zip(tags.get(starts, ()), tags.get(sizes, ()), strict=False)
        ):
            raise _cut()
    if not tags.get(273) and not tags.get(324):
        raise FetchError("invalid", "has a broken TIFF header")
    return Looks("image/tiff", tags.get(256, (0,))[0], tags.get(257, (0,))[0], is_plain=False)


def _tiff_values(data: bytes, order: str, entry: tuple[int, int, int]) -> tuple[int, ...]:
    kind, number, at = entry
    letter = {1: "B", 3: "H", 4: "I"}.get(kind)
    if letter is None or number > _MAX_STRIPS:
        raise FetchError("invalid", "has a broken TIFF header")
    if number * {"B": 1, "H": 2, "I": 4}[letter] > 4:
        (at,) = unpack_from(f"{order}I", data, at)
    return unpack_from(f"{order}{number}{letter}", data, at)


def _cut() -> FetchError:
    return FetchError("invalid", "is cut off: the end of the file is missing")


def _endless() -> FetchError:
    return FetchError("invalid", "has a header in too many pieces")


def not_served(data: bytes) -> FetchError:
    """Return the failure of bytes that are no picture that is served, with what they are where that is known."""
    for magic, at, name in _OTHERS:
        if data[at : at + len(magic)] == magic:
            return FetchError("unsupported", f"is {name}, which is not served; use PNG, JPEG, WebP or GIF")
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return FetchError("unsupported", "is an SVG drawing, which is not served; use PNG, JPEG, WebP or GIF")
    if head.startswith((b"<!doctype html", b"<html")):
        return FetchError("invalid", "is a web page, not a picture")
    return FetchError("invalid", "is not a picture of a known format")


_READERS: tuple[tuple[bytes, Callable[[bytes], Looks]], ...] = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8\xff", _jpeg),
    (b"GIF87a", _gif),
    (b"GIF89a", _gif),
    (b"BM", _bmp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
)

BRANDS = dict.fromkeys((b"avif", b"avis"), "image/avif") | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1"), "image/heic"
)

_OTHERS = (
    (b"ftyp", 4, "a video"),
    (b"\0\0\0\x0cjP  ", 0, "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", 0, "a JPEG 2000 picture"),
    (b"\xff\x0a", 0, "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", 0, "a JPEG XL picture"),
    (b"II+\0", 0, "a BigTIFF picture"),
    (b"MM\0+", 0, "a BigTIFF picture"),
    (b"8BPS", 0, "a Photoshop file"),
    (b"\0\0\1\0", 0, "an icon file"),
    (b"%PDF", 0, "a PDF document"),
    (b"%!PS", 0, "a PostScript document"),
    (b"SIMPLE  =", 0, "a FITS file"),
    (b"\x1f\x8b", 0, "a gzip file"),
    (b"PK\3\4", 0, "a ZIP file"),
)

_FILMS: tuple[tuple[tuple[str, ...], tuple[tuple[int, bytes], ...], str], ...] = (
    (("video",), ((4, b"ftypqt"),), "video/quicktime"),
    (("audio",), ((4, b"ftypM4A"),), "audio/mp4"),
    (("video",), ((4, b"ftyp"),), "video/mp4"),
    (("audio",), ((4, b"ftyp"),), "audio/mp4"),
    (("video",), ((0, b"\x1a\x45\xdf\xa3"),), "video/webm"),
    (("audio",), ((0, b"\x1a\x45\xdf\xa3"),), "audio/webm"),
    (("video",), ((8, b"AVI "),), "video/x-msvideo"),
    (("video",), ((0, b"\0\0\1\xba"), (0, b"\0\0\1\xb3")), "video/mpeg"),
    (("video",), ((0, b"FLV\1"),), "video/x-flv"),
    (("video",), ((0, b"GIF8"),), "image/gif"),
    (("audio",), ((8, b"WAVE"),), "audio/wav"),
    (("audio", "video"), ((0, b"OggS"),), "audio/ogg"),
    (("audio",), ((0, b"fLaC"),), "audio/flac"),
    (
        ("audio",),
        ((0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xf3"), (0, b"\xff\xf2"), (0, b"\xff\xfa")),
        "audio/mpeg",
    ),
    (("audio",), ((0, b"\xff\xf1"), (0, b"\xff\xf9")), "audio/aac"),
)
