"""A file on its way out: streamed, whole or one range of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pronk.api.errors import envelope
from pronk.api.names import shown
from pronk.blobs import Blobs
from pronk.domain.errors import BlobOutageError
from pronk.domain.file import File

log = structlog.get_logger()

_RANGE = re.compile(r"bytes=([0-9]{0,100})-([0-9]{0,100})")


class Span(msgspec.Struct, frozen=True):
    """A range of bytes."""

    start: int
    length: int


async def download(request: Request, file: File, blobs: Blobs) -> Response:
    """Return the answer to a GET or HEAD for a file's bytes, with `Range` and `If-Range` honoured.

    One range is served; several at once, or one beyond the end, are answered 416. A `Range` that is no range of
    bytes is ignored, as RFC 9110 says.
    """
    wanted = request.headers.get("range")
    if request.headers.get("if-range", _etag(file)) != _etag(file):
        wanted = None
    span = read_range(wanted, file.bytes) if wanted else Span(0, file.bytes)
    if span is None:
        message = f"Range is {shown(wanted)}; the file has {file.bytes:,} bytes, and one range of them may be asked for."
        return envelope(416, message, param="Range", headers={"content-range": f"bytes */{file.bytes}"})
    status, headers = 200, _headers(file, span)
    if wanted and span != Span(0, file.bytes):
        status = 206
        headers["content-range"] = f"bytes {span.start}-{span.start + span.length - 1}/{file.bytes}"
    if request.method == "HEAD" or not span.length:
        return Response(status_code=status, headers=headers, media_type="application/octet-stream")
    chunks = blobs.stream(file.blob, span.start, span.length)
    body = await _begun(_verified(chunks, file) if span.length == file.bytes else chunks, file)
    return StreamingResponse(body, status, headers, media_type="application/octet-stream")


def read_range(header: str, size: int) -> Span | None:
    """Return the bytes that a `Range` header means, None when they cannot be given."""
    if not header.startswith("bytes="):
        return Span(0, size)
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None if "," in header else Span(0, size)
    first, last = match[1], match[2]
    if not first:
        length = min(int(last), size)
        return Span(size - length, length) if length else None
    end = min(int(last), size - 1) if last else size - 1
    if int(first) > int(last or first):
        return Span(0, size)
    return Span(int(first), end - int(first) + 1) if int(first) < size else None


async def _begun(chunks: AsyncIterator[bytes], file: File) -> AsyncIterator[bytes]:
    """Read the first piece before anything is answered, so that a failure still can be said."""
    try:
        first = await anext(chunks)
    except (FileNotFoundError, StopAsyncIteration) as error:
        raise BlobOutageError(f"the bytes of {file.id} are not in storage") from error
    return _chain(first, chunks)


async def _verified(chunks: AsyncIterator[bytes], file: File) -> AsyncIterator[bytes]:
    """Keep the last piece back until all are known to be what was written; a file that has changed ends before it.

    The status is sent by then, so whoever downloads sees a body that is shorter than its Content-Length.
    """
    digest, held, size = hashlib.sha256(), b"", 0
    async for chunk in chunks:
        if held:
            yield held
        digest.update(chunk)
        held, size = chunk, size + len(chunk)
    if size != file.bytes or (file.sha256 is not None and digest.hexdigest() != file.sha256):
        log.error("file_damaged", file=file.id, blob=file.blob, bytes=file.bytes, found_bytes=size)
        raise BlobOutageError(f"the bytes of {file.id} are not those that were written")
    if held:
        yield held


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _headers(file: File, span: Span) -> dict[str, str]:
    fallback = re.sub(r'[^ -~]|["\\%]', "_", file.filename)
    return {
        "content-length": str(span.length),
        "accept-ranges": "bytes",
        "etag": _etag(file),
        "content-disposition": f"attachment; filename=\"{fallback}\"; filename*=UTF-8''{quote(file.filename, safe='')}",
    }


def _etag(file: File) -> str:
    """A file never changes, so its id says it all."""
    return f'"{file.id}"'
