"""The program of a picture child: takes a picture or a document, writes a picture back; once a line of work, until its input ends.

Decoding is the dangerous part of pictures. This process has no environment, no credentials and no network use, opens only the
format it is told, under limits of memory and processor time, and whatever Pillow says stays inside.
A message is four bytes of length (big endian) and MessagePack.
"""

from __future__ import annotations

import io
import resource
import struct
import sys
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec
from PIL import Image, ImageOps

from pronk.media.encode import encode, encode_small
from pronk.media.pages import draw
from pronk.media.work import Changed, Draw, Refused, Result, Shrink, Work

_FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
}
_MEMORY = 2 << 30
_SECONDS = 60
_WORK: msgspec.msgpack.Decoder[Work] = msgspec.msgpack.Decoder(Work)


def change(data: bytes, type_: str, max_pixels: int) -> Result:
    """Return the first frame upright and at most `max_pixels` large, as JPEG if it was lossy as one, else as PNG."""
    return _opened(data, type_, lambda picture: encode(_fitted(picture, type_, max_pixels), type_))


def shrink(data: bytes, type_: str, edge: int, max_bytes: int) -> Result:
    """Return the first frame upright as a WebP to look at, no longer than `edge` pixels."""

    def small(picture: Image.Image) -> Changed:
        ratio = min(1.0, edge / max(picture.size))
        pixels = max(1, int(picture.width * ratio) * int(picture.height * ratio))
        whole = _fitted(picture, type_, pixels if ratio < 1 else 0)
        whole.thumbnail((edge, edge))
        return encode_small(whole.convert("RGBA" if "A" in whole.mode else "RGB"), max_bytes)

    return _opened(data, type_, small)


def _opened(data: bytes, type_: str, work: Callable[[Image.Image], Changed]) -> Result:
    if type_ == "image/heic" and not _reads_heic():
        return Refused(
            "unsupported", "is a HEIC picture, and this server lacks the part that reads it: pronk[documents]"
        )
    try:
        with Image.open(io.BytesIO(data), formats=(_FORMATS[type_],)) as picture:
            return work(picture)
    except Exception:  # noqa: BLE001  # whatever a decoder raises, the answer is the same and its words stay here
        return Refused("invalid", "cannot be decoded")


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until the input ends."""
    while length := source.read(4):
        work = _WORK.decode(source.read(*struct.unpack(">I", length)))
        _allow_seconds(_SECONDS)
        answer = msgspec.msgpack.encode(_done(work))
        sink.write(struct.pack(">I", len(answer)) + answer)
        sink.flush()


def _done(work: Work) -> Result:
    if isinstance(work, Draw):
        return draw(work)
    if isinstance(work, Shrink):
        return shrink(work.data, work.type, work.edge, work.max_bytes)
    return change(work.data, work.type, work.max_pixels)


def _reads_heic() -> bool:
    try:
        import pillow_heif  # noqa: PLC0415  # an optional part
    except ImportError:
        return False
    pillow_heif.register_heif_opener(thumbnails=False)
    return True


def _fitted(picture: Image.Image, type_: str, max_pixels: int) -> Image.Image:
    pixels = picture.width * picture.height
    ratio = min(1.0, (max_pixels / pixels) ** 0.5) if max_pixels else 1.0
    size = (max(1, int(picture.width * ratio)), max(1, int(picture.height * ratio)))
    if type_ == "image/jpeg":
        picture.draft(None, size)
    whole = _plain(picture)
    if whole.size != size:
        whole = whole.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    whole.getexif().update(picture.getexif())
    return ImageOps.exif_transpose(whole)


def _plain(picture: Image.Image) -> Image.Image:
    if picture.mode in {"L", "RGB", "RGBA", "LA"}:
        return picture
    if picture.mode.startswith("I"):
        return picture.convert("I").point(_to_eight_bits).convert("L")
    if picture.mode in {"1", "F"}:
        return picture.convert("L")
    return picture.convert("RGBA" if "A" in picture.mode or "transparency" in picture.info else "RGB")


def _to_eight_bits(value: Any) -> Any:
    """Pillow calls this with a stand-in for all pixels, of which it takes scale and offset."""
    return value * (1 / 256)


def _allow_seconds(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = int(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (end, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def main() -> None:
    """Run as a child."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("error")
    Image.MAX_IMAGE_PIXELS = None
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
