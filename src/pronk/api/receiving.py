"""A form whose file goes straight to storage, in constant memory and whatever order the fields come in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Final

import msgspec
from starlette.requests import Request

from pronk.api.multipart import PartHead, read_multipart
from pronk.api.names import shown
from pronk.blobs import CHUNK_BYTES, BlobWriter
from pronk.domain.errors import InvalidRequestError, TooLargeError

MAX_FIELD_BYTES: Final = 64 * 1024
MAX_PARTS: Final = 64
MAX_NAME: Final = 512
_OVERHEAD: Final = 1024 * 1024


class Received(msgspec.Struct):
    """A form whose file is in storage, or on its way. `sha256` is that of the whole file, once it is there."""

    fields: dict[str, str]
    filename: str | None = None
    size: int = 0
    sha256: str = ""


Limit = Callable[[Mapping[str, str]], int]
"""How many bytes a file may have, from the fields that are known so far."""


async def receive_form(request: Request, writer: BlobWriter, *, field: str, limit: Limit) -> Received:
    """Write the file of a form to storage piece by piece and return its other fields.

    Raises InvalidRequestError for what is no whole form with one such file, and TooLargeError as soon as too much has
    come in.
    """
    received = Received({})
    _check_length(request, limit({}))
    sink = _Sink(writer, received, field, limit)
    async with aclosing(read_multipart(request)) as events:
        async for event in events:
            if isinstance(event, PartHead):
                await sink.begin(event)
            else:
                await sink.add(event)
    await sink.end()
    if received.filename is None:
        raise InvalidRequestError(
            f"The form has no file {field!r}; send one, as `curl -F {field}=@input.jsonl` does.",
            param=field,
            code="missing_required_parameter",
        )
    return received


class _Sink:
    """Sends the parts of a form where they belong, in pieces worth a write."""

    def __init__(self, writer: BlobWriter, received: Received, field: str, limit: Limit) -> None:
        self._writer = writer
        self._received = received
        self._field = field
        self._limit = limit
        self._head: PartHead | None = None
        self._buffer = bytearray()
        self._count = 0
        self._digest = hashlib.sha256()

    async def begin(self, head: PartHead) -> None:
        await self._flush()
        self._count += 1
        if self._count > MAX_PARTS:
            raise InvalidRequestError(f"The form has more than {MAX_PARTS} parts.", code="invalid_form")
        if self._is_file(head):
            if self._received.filename is not None:
                raise InvalidRequestError(f"The form has two files {self._field!r}.", param=self._field)
            self._received.filename = clean_filename(head.filename or "", self._field)
        self._head = head

    async def add(self, data: bytes) -> None:
        if self._head is None:
            return
        if self._is_file(self._head):
            self._received.size += len(data)
            self._check_size()
        self._buffer += data
        if len(self._buffer) >= CHUNK_BYTES or not self._is_file(self._head):
            await self._spill()

    async def end(self) -> None:
        await self._flush()
        self._check_size()
        self._received.sha256 = self._digest.hexdigest()

    def _is_file(self, head: PartHead) -> bool:
        return head.name == self._field and head.filename is not None

    def _check_size(self) -> None:
        allowed = self._limit(self._received.fields)
        if self._received.size > allowed:
            raise too_large(allowed)

    async def _spill(self) -> None:
        """Write what has gathered of a file; keep what has gathered of a field, drop what nobody asked for."""
        if self._head is None:
            return
        if self._is_file(self._head):
            self._digest.update(self._buffer)
            await self._writer.write(bytes(self._buffer))
            self._buffer.clear()
        elif self._head.filename is not None:
            self._buffer.clear()
        elif len(self._buffer) > MAX_FIELD_BYTES:
            raise InvalidRequestError(
                f"The field {shown(self._head.name)} is longer than {MAX_FIELD_BYTES:,} bytes.",
                code="invalid_form",
            )

    async def _flush(self) -> None:
        if self._head is None:
            return
        if self._is_file(self._head):
            await self._spill()
        elif self._head.filename is None:
            self._received.fields[self._head.name] = _text(bytes(self._buffer), self._head.name)
        self._buffer.clear()


def too_large(allowed: int) -> TooLargeError:
    """Return the error for a file over its limit."""
    return TooLargeError(
        f"The file is larger than {allowed:,} bytes, the most that is taken here; split it, or for other purposes than "
        "batch upload it in parts.",
        param="file",
        code="file_too_large",
    )


def clean_filename(given: str, param: str) -> str:
    """Return the last step of a path, which is what some clients send. Raises InvalidRequestError."""
    name = given.replace("\\", "/").rpartition("/")[2]
    if not name or len(name) > MAX_NAME or any(ord(letter) < 32 or ord(letter) == 127 for letter in given):
        raise InvalidRequestError(
            f"The file's name is {shown(given)}; it has to have 1 to {MAX_NAME} characters, none of them a control "
            "character.",
            param=param,
            code="invalid_filename",
        )
    return name


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequestError(
            f"The field {shown(name)} is not UTF-8.", param=name, code="invalid_form"
        ) from error


def _check_length(request: Request, allowed: int) -> None:
    """Refuse before a byte is read what says itself that it is too large."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and len(length) < 20 and int(length) > allowed + _OVERHEAD:
        raise too_large(allowed)
