"""Pictures that are right, and pictures that mean harm, each built from bytes."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from PIL import Image


def png(width: int = 8, height: int = 8, colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    """Return a small right PNG."""
    return saved("PNG", Image.new("RGB", (width, height), colour))


def jpeg(width: int = 8, height: int = 8, **options: Any) -> bytes:
    """Return a small right JPEG."""
    return saved("JPEG", Image.new("RGB", (width, height), (20, 90, 200)), **options)


def saved(format_name: str, image: Image.Image, **options: Any) -> bytes:
    """Return `image` in a format."""
    out = io.BytesIO()
    image.save(out, format_name, **options)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def padded_png(size: int, number: int = 0) -> bytes:
    """Return a small right PNG that a comment makes `size` bytes large: nothing to decode, and as much to move as any."""
    right = png()
    comment = b"Comment\0" + random.Random(number).randbytes(size - len(right) - 20)
    return right[:33] + chunk(b"tEXt", comment) + right[33:]


def claimed_png(width: int, height: int, *, depth: int = 8, colour_type: int = 2, rows: bytes = b"") -> bytes:
    """Return a PNG that claims a size; `rows` is its unpacked picture data."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def full_one_bit_png(side: int) -> bytes:
    """Return a whole black one-bit PNG of `side` squared: small on the wire, huge once it is decoded."""
    row = b"\0" * (1 + (side + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_with_text_bomb(size: int = 20_000_000) -> bytes:
    """Return a right small PNG whose compressed comment unpacks to `size` bytes."""
    packer = zlib.compressobj(9)
    zeros = b"\0" * (1 << 20)
    text = b"".join([*(packer.compress(zeros) for _ in range(size >> 20)), packer.flush()])
    right = png()
    return right[:33] + chunk(b"zTXt", b"Comment\0\0" + text) + right[33:]


def claimed_jpeg(width: int, height: int) -> bytes:
    """Return the head of a JPEG that claims a size, and nothing of a picture."""
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"\x01\x22\0\x02\x11\x01\x03\x11\x01"
    return (
        b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0"
        + struct.pack(">H", len(frame) + 2)
        + frame
        + b"\xff\xd9"
    )


def claimed_gif(width: int, height: int, frames: int = 1) -> bytes:
    """Return a GIF that claims a size, with as many one-pixel frames as asked for."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * frames + b"\x3b"


def claimed_bmp(width: int, height: int) -> bytes:
    """Return a BMP that claims a size and has four bytes of it."""
    head = b"BM" + struct.pack("<IHHI", 58, 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 4, 0, 0, 0, 0) + b"\0\0\0\0"


def claimed_webp(width: int, height: int) -> bytes:
    """Return the extended head of a WebP that claims a size."""
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + size
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(
    *entries: tuple[int, int, int, int], order: str = "<", after: bytes = b"", following: int = 0
) -> bytes:
    """Return a TIFF with one directory of (tag, type, count, value) entries and the offset of the next one."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    body = struct.pack(f"{order}H", len(entries)) + b"".join(struct.pack(f"{order}HHII", *e) for e in entries)
    return head + body + struct.pack(f"{order}I", following) + after


def claimed_tiff(width: int, height: int, *, following: int = 0) -> bytes:
    """Return a TIFF that claims a size; its strip lies outside the file."""
    entries = (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)
    return tiff(
        *entries,
        (273, 4, 1, 9999),
        (278, 4, 1, height),
        (279, 4, 1, min(width * height, 2**32 - 1)),
        following=following,
    )


def tiff_of_repeated_strips() -> bytes:
    """Return two megabytes that cost minutes to a reader who unpacks the strip offsets of every entry."""
    entries = [(273, 4, 200_000, 8 + 2 + 12 * 60_000)] * 60_000
    return tiff(*entries, after=b"\0" * 800_000)


def pages_tiff(count: int) -> bytes:
    """Return a TIFF of many right pages."""
    pages = [Image.new("L", (4, 4), number % 256) for number in range(count)]
    return saved("TIFF", pages[0], save_all=True, append_images=pages[1:])


def cut(data: bytes, share: float) -> bytes:
    """Return the first part of `data`."""
    return data[: int(len(data) * share)]


SVG_OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">
<!ENTITY y SYSTEM "http://127.0.0.1/">]><svg xmlns="http://www.w3.org/2000/svg"><text>&x;&y;</text>
<image href="http://169.254.169.254/latest/meta-data/"/></svg>"""
SVG_LAUGHS = (
    b'<!DOCTYPE svg [<!ENTITY a "lol">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><svg>&j;</svg>"
)
HTML = b"<!doctype html><html><body><script>alert(1)</script><img src=x></body></html>"
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n{ } loop\nshowpage\n"
XPM = b'/* XPM */\nstatic char *x[] = {"99999 99999 1 1", "a c #000000"};'
PPM = b"P6 50000 50000 255\n\0\0\0"
FITS = (
    b"SIMPLE  =                    T".ljust(80)
    + b"BITPIX  =                    8".ljust(80)
    + b"END".ljust(2720)
)
ICNS = b"icns" + struct.pack(">I", 16) + b"ic10" + struct.pack(">I", 8)
ICO = b"\0\0\1\0\1\0\0\0\0\0\1\0\x20\0" + struct.pack("<II", 0xFFFFFF, 22)
PSD = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 30000, 30000, 8, 3) + b"\0" * 12
JPEG2000 = (
    b"\0\0\0\x0cjP  \r\n\x87\n"
    b"\0\0\0\x14ftypjp2 \0\0\0\0jp2 "
    b"\0\0\0\x2djp2h"
    b"\0\0\0\x16ihdr" + struct.pack(">IIHBBBB", 50000, 50000, 3, 7, 7, 0, 0)
)
WMF = b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<hhhhHIH", 0, 0, 30000, 30000, 1, 0, 0)
PICKLE = b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."
ELF = b"\x7fELF\x02\x01\x01" + b"\0" * 57
MPEG = b"\0\0\0\x18ftypisom\0\0\0\0isommp41" + b"\0" * 100
AVIF_HEAD = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + b"\0\0\0\x10meta" + b"\0" * 8
HEIC_HEAD = b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + b"\0" * 40


def zip_of(name: str, data: bytes) -> bytes:
    """Return a zip archive with one member."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, data)
    return out.getvalue()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "png 50,000 x 50,000 in its head": lambda: claimed_png(50_000, 50_000),
    "png 50,000 x 50,000 of one bit": lambda: claimed_png(50_000, 50_000, depth=1, colour_type=0),
    "png 10,000 x 10,000, whole": lambda: full_one_bit_png(10_000),
    "png 2^31 wide": lambda: claimed_png(2**31 - 1, 1),
    "png 2^32-1 high": lambda: claimed_png(1, 2**32 - 1),
    "png of no width": lambda: claimed_png(0, 10),
    "png of no height": lambda: claimed_png(10, 0),
    "png cut in half": lambda: cut(png(300, 300, (1, 2, 3)), 0.5),
    "png cut in its head": lambda: png()[:20],
    "png of a signature": lambda: png()[:8],
    "png with a bomb as comment": png_with_text_bomb,
    "png of unknown depth": lambda: claimed_png(10, 10, depth=7),
    "png with an endless chunk": lambda: png()[:33] + b"\xff\xff\xff\xffIDAT",
    "jpeg 65,535 x 65,535": lambda: claimed_jpeg(65_535, 65_535),
    "jpeg of no size": lambda: claimed_jpeg(0, 0),
    "jpeg cut in half": lambda: cut(jpeg(400, 400, quality=95), 0.5),
    "jpeg of three bytes": lambda: b"\xff\xd8\xff",
    "jpeg of markers only": lambda: b"\xff\xd8" + b"\xff\xe1\xff\xff" * 10_000,
    "jpeg of fill bytes": lambda: b"\xff\xd8" + b"\xff" * 19_000_000,
    "gif 65,535 x 65,535": lambda: claimed_gif(65_535, 65_535),
    "gif of 200,000 frames, huge": lambda: claimed_gif(65_535, 65_535, 200_000),
    "gif cut in its head": lambda: claimed_gif(10, 10)[:9],
    "gif without a frame": lambda: claimed_gif(10, 10, 0),
    "bmp 2^31 wide": lambda: claimed_bmp(2**31 - 1, 2**31 - 1),
    "bmp upside down": lambda: claimed_bmp(-1, -(2**31)),
    "bmp cut": lambda: claimed_bmp(10, 10),
    "webp 16,777,216 squared": lambda: claimed_webp(1 << 24, 1 << 24),
    "webp cut": lambda: cut(saved("WEBP", Image.new("RGB", (64, 64))), 0.5),
    "tiff 4 billion squared": lambda: claimed_tiff(2**32 - 1, 2**32 - 1),
    "tiff whose strip is outside": lambda: claimed_tiff(100, 100),
    "tiff cut": lambda: cut(saved("TIFF", Image.new("RGB", (64, 64))), 0.5),
    "tiff cut in its directory": lambda: claimed_tiff(10, 10)[:14],
    "tiff that follows itself": lambda: claimed_tiff(100, 100, following=8),
    "tiff without entries": tiff,
    "tiff of 65,535 entries": lambda: tiff(*[(256, 4, 1, 1)] * 60_000),
    "tiff that says 200,000 strips 60,000 times": tiff_of_repeated_strips,
    "svg with entities outside": lambda: SVG_OUTSIDE,
    "svg with a billion laughs": lambda: SVG_LAUGHS,
    "svg after a comment": lambda: b"<!-- " + b"x" * 5000 + b" -->" + SVG_OUTSIDE,
    "svgz": lambda: gzip.compress(SVG_OUTSIDE),
    "html": lambda: HTML,
    "pdf": lambda: PDF,
    "eps that loops": lambda: EPS,
    "xpm": lambda: XPM,
    "ppm 50,000 x 50,000": lambda: PPM,
    "fits": lambda: FITS,
    "gz of fits": lambda: gzip.compress(FITS),
    "icns": lambda: ICNS,
    "ico that points outside": lambda: ICO,
    "psd": lambda: PSD,
    "jpeg 2000, 50,000 x 50,000": lambda: JPEG2000,
    "wmf": lambda: WMF,
    "pickle": lambda: PICKLE,
    "program": lambda: ELF,
    "video": lambda: MPEG,
    "avif head": lambda: AVIF_HEAD,
    "heic head": lambda: HEIC_HEAD,
    "zip": lambda: zip_of("a.png", png()),
    "gzip bomb": lambda: gzip.compress(b"\0" * 10_000_000),
    "empty": lambda: b"",
    "one byte": lambda: b"\x89",
    "spaces": lambda: b" " * 1000,
    "zeros": lambda: b"\0" * 100_000,
    "text": lambda: b"not a picture at all",
    "json": lambda: b'{"error": "nope"}',
    "html before a png": lambda: HTML + png(),
    "pdf before a jpeg": lambda: PDF + jpeg(),
    "byte order mark before a png": lambda: b"\xef\xbb\xbf" + png(),
}
"""Name to bytes that must be refused."""

POLYGLOTS: dict[str, Callable[[], bytes]] = {
    "png before html": lambda: png() + HTML,
    "jpeg before a zip": lambda: jpeg() + zip_of("x", b"y"),
    "gif that is a script": lambda: claimed_gif(1, 1).replace(b"GIF89a", b"GIF89a") + b"/*<script>*/",
    "jpeg with html as comment": lambda: (
        jpeg()[:2] + b"\xff\xfe" + struct.pack(">H", len(HTML) + 2) + HTML + jpeg()[2:]
    ),
    "jpeg with a pdf behind": lambda: jpeg() + PDF,
    "png without data": lambda: claimed_png(10, 10),
    "png with a wrong checksum": lambda: png()[:-20] + b"\0\0\0\0" + png()[-16:],
}
"""Name to bytes that are a picture and something else too, or not quite one: refused, or passed on as that picture."""
