"""Result files as sorted tables: a page is found by halving the file, however large it is.

Every line begins with an id that ends in its line number.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Final

import msgspec

from pronk.blobs import Blobs

_HEAD: Final = re.compile(rb'\{"id":"batch_req_[0-9A-Za-z]+_([0-9]+)"')
_BLOCK: Final = 64 * 1024


class Line(msgspec.Struct, frozen=True):
    """A result line without its newline, and the number of its request line."""

    number: int
    data: bytes


async def lines_after(blobs: Blobs, blob: str, size: int, after: int) -> AsyncGenerator[Line]:
    """Yield the lines of a result file whose number is greater than `after`. Raises FileNotFoundError."""
    start = await _offset_after(blobs, blob, size, after) if after else 0
    async with aclosing(_split(blobs.stream(blob, start))) as lines:  # type: ignore[type-var]
        async for data in lines:
            number = _number(data)
            if number is not None and number > after:
                yield Line(number, data)


async def merged(sources: Sequence[AsyncIterator[Line]]) -> AsyncGenerator[Line]:
    """Yield the lines of sorted sources in one order."""
    heads = [(line, source) for source in sources if (line := await anext(source, None)) is not None]
    while heads:
        index = min(range(len(heads)), key=lambda i: heads[i][0].number)
        line, source = heads[index]
        yield line
        following = await anext(source, None)
        if following is None:
            del heads[index]
        else:
            heads[index] = (following, source)


async def _offset_after(blobs: Blobs, blob: str, size: int, after: int) -> int:
    """Return a place at a line's beginning, before which every line's number is at most `after`."""
    low, high = 0, size
    while high - low > _BLOCK:
        middle = (low + high) // 2
        found = await _first_line_from(blobs, blob, middle, high)
        if found is None or found[1] > after:
            high = middle
        else:
            low = found[0]
    return low


async def _first_line_from(blobs: Blobs, blob: str, start: int, end: int) -> tuple[int, int] | None:
    """Return where the first line that begins after `start` begins, and its number; None if none does before `end`."""
    while start < end:
        block = await blobs.get_range(blob, start, min(_BLOCK, end - start))
        newline = block.find(b"\n")
        if newline < 0:
            start += len(block) or _BLOCK
            continue
        begin = start + newline + 1
        if begin >= end:
            return None
        number = _number(await blobs.get_range(blob, begin, min(256, end - begin)))
        return None if number is None else (begin, number)
    return None


async def _split(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line
    if rest:
        yield rest


def _number(data: bytes) -> int | None:
    match = _HEAD.match(data)
    return int(match[1]) if match else None
