"""Small pictures made with the standard library and Pillow."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image


def png(width: int, height: int) -> bytes:
    """A grey PNG of that size, whatever the size: its pixels compress to almost nothing."""
    rows = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(min(height, 1000))))
    return png_of(
        [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    )


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG of these chunks, with right checksums."""
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def saved(format_: str, width: int = 64, height: int = 48, mode: str = "RGB", **options: object) -> bytes:
    """A picture with a gradient, saved by Pillow."""
    picture = Image.linear_gradient("L").resize((width, height)).convert(mode)
    out = io.BytesIO()
    picture.save(out, format_, **options)
    return out.getvalue()


def jpeg(width: int, height: int) -> bytes:
    """A JPEG of that size."""
    return saved("JPEG", width, height)
