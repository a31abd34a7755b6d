"""The model that the first request of an input file names, read without reading the file."""

from __future__ import annotations

import msgspec

from pronk.blobs import Blobs
from pronk.domain.errors import BlobOutageError
from pronk.domain.file import File

_FIRST_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"


class _Body(msgspec.Struct):
    model: str | None = None


class _Line(msgspec.Struct):
    body: _Body


_decode = msgspec.json.Decoder(_Line).decode


async def first_model(blobs: Blobs, file: File, max_line_bytes: int) -> str | None:
    """Return the model of the first line that is not blank, None where none can be read from it."""
    line = await _first_line(blobs, file, max_line_bytes)
    try:
        return _decode(line).body.model
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


async def _first_line(blobs: Blobs, file: File, max_line_bytes: int) -> bytes:
    """Look at 64 KiB, then at as much as one line may have."""
    for wanted in (_FIRST_BYTES, max_line_bytes + len(_BOM)):
        size = min(wanted, file.bytes)
        try:
            start = (await blobs.get_range(file.blob, 0, size) if size else b"").removeprefix(_BOM).lstrip()
        except FileNotFoundError as error:
            raise BlobOutageError(f"the bytes of {file.id} are not in storage") from error
        line, newline, _ = start.partition(b"\n")
        if newline or size == file.bytes:
            return line
    return b""
