"""Input files when they are read again: their bytes have to be those that were uploaded and checked."""

from __future__ import annotations

import hashlib
import zlib
from array import array
from collections.abc import AsyncIterator, Iterable

from pronk.blobs import Blobs
from pronk.domain.errors import InputLostError
from pronk.domain.file import File
from pronk.domain.lines import numbered_lines
from pronk.domain.shard import Cut

READS = 3
"""What a storage hands out wrongly is asked for again, in case it was the way and not the place."""


def line_sum(text: bytes) -> int:
    """Return the checksum of one request line; blanks around it do not matter."""
    return zlib.crc32(text.strip())


def sum_of(line_sums: Iterable[int]) -> str:
    """Return the checksum of a cut from those of its lines, in order."""
    return f"{zlib.crc32(array('I', line_sums).tobytes()):08x}"


async def read_cut(blobs: Blobs, file: File, cut: Cut) -> bytes:
    """Return the bytes of a cut. Raises InputLostError when they are gone or not those that were checked at intake."""
    for _ in range(READS):
        try:
            data = await blobs.get_range(file.blob, cut.byte_start, cut.byte_count)
        except FileNotFoundError as error:
            raise missing(file, line=cut.first_line) from error
        if not cut.checksum or cut.checksum == sum_of(line_sum(text) for _, text in numbered_lines(data, 1)):
            return data
    last = cut.first_line + cut.line_count - 1
    message = (
        f"The bytes of {file.id}, the input file, are not those that were uploaded; lines {cut.first_line:,} to {last:,} or "
        "the blank lines among them have changed. Upload the file again."
    )
    raise InputLostError("input_damaged", message, line=cut.first_line)


async def checked(chunks: AsyncIterator[bytes], file: File) -> AsyncIterator[bytes]:
    """Yield a whole file's chunks; raises InputLostError behind the last one when they are not what was uploaded."""
    digest = hashlib.sha256()
    try:
        async for chunk in chunks:
            digest.update(chunk)
            yield chunk
    except FileNotFoundError as error:
        raise missing(file) from error
    if file.sha256 is not None and digest.hexdigest() != file.sha256:
        message = f"The bytes of {file.id} are not those that were uploaded. Upload the file again."
        raise InputLostError("input_damaged", message)


def missing(file: File, *, line: int | None = None) -> InputLostError:
    """Return the error for bytes that are not there."""
    message = f"The bytes of {file.id}, the input file, are not in storage any more. Upload the file again."
    return InputLostError("input_missing", message, line=line)
