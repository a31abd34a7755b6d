"""Multipart forms read as a stream of parts; nothing is gathered here."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from urllib.parse import unquote

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from pronk.api.names import shown
from pronk.domain.errors import InvalidRequestError

_EXTENDED = re.compile(r"filename\*\s*=\s*\"?([A-Za-z0-9-]+)'[^']*'([^\s;\"]+)", re.IGNORECASE)


class PartHead(msgspec.Struct, frozen=True):
    """Where a part of a form begins; `filename` is None for a plain field."""

    name: str
    filename: str | None


async def read_multipart(request: Request) -> AsyncGenerator[PartHead | bytes]:
    """Yield the parts of a form as they come in: a head, then its bytes in pieces.

    Raises InvalidRequestError when the body is not a whole multipart form.
    """
    parts = _Parts(_boundary(request.headers.get("content-type")))
    async for chunk in request.stream():
        for event in parts.feed(chunk):
            yield event
    if not parts.is_whole:
        raise _broken("it ends before its last boundary")


class _Parts:
    """The callbacks of the parser, gathered as events."""

    def __init__(self, boundary: bytes) -> None:
        self.is_whole = False
        self._events: list[PartHead | bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._name = b""
        self._value = b""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": self._on_field,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_head,
                    "on_part_data": self._on_data,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise _broken(str(error)) from error

    def feed(self, chunk: bytes) -> list[PartHead | bytes]:
        """Return what a piece of the body brings."""
        self._events = []
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken(str(error)) from error
        return self._events

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_head(self) -> None:
        self._events.append(_part_head(self._headers.get(b"content-disposition", b"")))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _on_end(self) -> None:
        self.is_whole = True


def _boundary(content_type: str | None) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise InvalidRequestError(
            f"Content-Type is {shown(content_type or '')}; a file is sent as multipart/form-data.",
            param="file",
            code="invalid_content_type",
        )
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise _broken("its Content-Type names no boundary")
    return boundary


def _part_head(disposition: bytes) -> PartHead:
    kind, options = parse_options_header(disposition.decode("latin-1"))
    if kind != b"form-data" or b"name" not in options:
        raise _broken("a part has no Content-Disposition with a name")
    filename = _extended_filename(disposition)
    if filename is None and b"filename" in options:
        filename = _lenient(options[b"filename"])
    return PartHead(_lenient(options[b"name"]), filename)


def _extended_filename(disposition: bytes) -> str | None:
    """Read ``filename*=UTF-8''na%C3%AFve.jsonl`` (RFC 5987), which some clients send instead of the plain one."""
    match = _EXTENDED.search(disposition.decode("latin-1"))
    if match is None or match[1].lower() not in {"utf-8", "iso-8859-1"}:
        return None
    return unquote(match[2], encoding=match[1], errors="replace")


def _lenient(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _broken(why: str) -> InvalidRequestError:
    return InvalidRequestError(f"The body is not a whole multipart form: {why}.", code="invalid_form")
