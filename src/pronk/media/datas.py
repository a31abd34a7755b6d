"""``data:`` URLs: checked like every other picture, then passed on as they are."""

from __future__ import annotations

import binascii

import pybase64

from pronk.domain.reference import Reference
from pronk.media.fetched import Ask, Fetched, FetchError, too_large

_MAX_HEADER = 256


def read_data_url(reference: Reference, ask: Ask) -> Fetched:
    """Return the bytes of a base64 ``data:`` URL; FetchError if it is none, broken or over its limit."""
    comma = reference.text.find(",", 0, _MAX_HEADER)
    if comma < 0 or not reference.text[:comma].lower().endswith(";base64"):
        raise FetchError("unsupported", "is not in base64; write data:image/png;base64,…")
    size = (len(reference.text) - comma - 1) * 3 // 4
    if size > ask.max_bytes + 2:
        raise too_large(size, ask.max_bytes)
    ask.admit(size)
    try:
        data = pybase64.b64decode(reference.text[comma + 1 :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise FetchError("invalid", "is not correct base64") from error
    return Fetched(data=data)


def data_url_token(type_: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the pieces of a JSON string that holds `data` as a ``data:`` URL; nothing in it needs escaping."""
    return b'"data:%b;base64,' % type_.encode(), pybase64.b64encode(data), b'"'
