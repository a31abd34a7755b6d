"""HTTP/1.1 as uvicorn speaks it; what cannot even be parsed is answered with the error envelope too, and heads have an end."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pronk.api.errors import envelope

MAX_HEAD_BYTES: Final = 64 * 1024
"""Of a request line and its headers; the parser itself would gather them for ever, and for anybody."""


class _HeadTooLargeError(Exception):
    """Ends the parser's work on a request."""


class Protocol(HttpToolsProtocol):
    """Pass it to uvicorn as `http`."""

    _in_head = False
    _unfinished = 0
    """Bytes that came while a head had begun and not ended."""
    _finished = 0
    """Bytes of its line and of the headers that are whole."""

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head and not self.transport.is_closing():
            self._unfinished += len(data)
            if self._unfinished > MAX_HEAD_BYTES:
                self._refuse_head()

    def on_message_begin(self) -> None:
        self._in_head, self._unfinished, self._finished = True, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser gave up."""
        if self._finished > MAX_HEAD_BYTES:
            self._refuse_head()
            return
        message = f"{msg.rstrip('.')}: this is not HTTP/1.1 as this server reads it."
        self._end(HTTPStatus.BAD_REQUEST, message, "invalid_http")

    def _count(self, size: int) -> None:
        self._finished += size
        if self._finished > MAX_HEAD_BYTES:
            raise _HeadTooLargeError

    def _refuse_head(self) -> None:
        message = (
            f"The request line and its headers are larger than {MAX_HEAD_BYTES:,} bytes; send less in them."
        )
        self._end(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message, "headers_too_large")

    def _end(self, status: HTTPStatus, message: str, code: str) -> None:
        answer = envelope(status, message, code=code)
        head = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
        self.transport.write(head % (status, status.phrase.encode(), len(answer.body)))
        self.transport.write(b"connection: close\r\n\r\n" + bytes(answer.body))
        self.transport.close()
