"""How a picture child writes pictures: JPEG where the original was lossy, else PNG."""

from __future__ import annotations

import io

from PIL import Image

from pronk.media.work import Changed

_JPEG_QUALITY = 90
_WEBP_QUALITIES = (80, 65, 50, 30, 10)
_LOSSY = frozenset({"image/jpeg", "image/heic"})


def encode(picture: Image.Image, type_: str, *, pages: int = 1) -> Changed:
    """Return `picture`, which came as `type_`, in a form that engines take. JPEG cannot be transparent."""
    out = io.BytesIO()
    is_jpeg = type_ in _LOSSY and "A" not in picture.mode
    if is_jpeg:
        picture.save(out, "JPEG", quality=_JPEG_QUALITY)
    else:
        picture.save(out, "PNG", compress_level=1)
    type_ = "image/jpeg" if is_jpeg else "image/png"
    return Changed(out.getvalue(), type_, picture.width, picture.height, pages)


def encode_small(picture: Image.Image, max_bytes: int) -> Changed:
    """Return `picture` as WebP, as good as `max_bytes` (0 for any) allow."""
    data = b""
    for quality in _WEBP_QUALITIES:
        out = io.BytesIO()
        picture.save(out, "WEBP", quality=quality, method=2)
        data = out.getvalue()
        if not max_bytes or len(data) <= max_bytes:
            break
    return Changed(data, "image/webp", picture.width, picture.height)
