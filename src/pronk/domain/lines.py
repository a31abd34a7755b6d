"""Request lines and result lines. Bodies stay the bytes they came as."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pronk.domain.errors import RequestError
from pronk.domain.ids import BatchId, result_id

_encode = msgspec.json.Encoder().encode


class RequestLine(msgspec.Struct, gc=False):
    """One line of an input file. Unknown fields are ignored."""

    custom_id: str
    url: str
    body: msgspec.Raw
    method: str = "POST"


BOM = b"\xef\xbb\xbf"

decode_line = msgspec.json.Decoder(RequestLine).decode


def numbered_lines(data: bytes, first: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that hold a request, numbered from `first`; blank lines only count.

    A byte order mark at the beginning of a file belongs to no line.
    """
    if first == 1:
        data = data.removeprefix(BOM)
    for line, text in enumerate(data.split(b"\n"), first):
        if text and not text.isspace():
            yield line, text


def answer_line(result: ResultHead, status: int, request_id: str | None, body: bytes) -> bytes:
    """Return a result line for an engine's answer, whatever its status. `body` is one JSON value."""
    if b"\n" in body or b"\r" in body:
        body = body.replace(b"\n", b" ").replace(b"\r", b" ")
    told = _encode(request_id or result.id)
    head = b'%b,"response":{"status_code":%d,"request_id":%b,"body":' % (result.encode(), status, told)
    return b"".join((head, body, b'},"error":null}\n'))


def error_line(result: ResultHead, error: RequestError) -> bytes:
    """Return a result line for a request that never got an answer."""
    shown = {"code": error.code, "message": error.message, "param": error.param}
    return b'%b,"response":null,"error":%b}\n' % (result.encode(), _encode(shown))


class ResultHead(msgspec.Struct, frozen=True, gc=False):
    """What every result line begins with; `line` counts from 1."""

    batch_id: BatchId
    line: int
    custom_id: str

    @property
    def id(self) -> str:
        """The result's id, the same for every attempt."""
        return result_id(self.batch_id, self.line)

    def encode(self) -> bytes:
        """Return the open object up to custom_id."""
        return b'{"id":"%b","custom_id":%b' % (self.id.encode(), _encode(self.custom_id))
