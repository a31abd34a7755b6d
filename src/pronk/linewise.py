"""Files of lines read as a stream: numbered as people count them, in constant memory."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from pronk.domain.ids import result_line
from pronk.domain.lines import BOM

_ID: Final = b'{"id":"'


async def numbered(chunks: AsyncIterable[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """Yield every line that is not blank with its number from 1, without its newline.

    A byte order mark at the beginning belongs to no line. Memory is that of a chunk and the longest line.
    """
    number, rest = 0, b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            text = line.removeprefix(BOM) if number == 1 else line
            if text and not text.isspace():
                yield number, text
    text = rest.removeprefix(BOM) if number == 0 else rest
    if text and not text.isspace():
        yield number + 1, text


async def result_numbers(chunks: AsyncIterable[bytes]) -> array[int]:
    """Return the numbers of the request lines whose results a result file holds, in its order.

    Raises ValueError for a file that is not one of results.
    """
    found: array[int] = array("L")
    async for number, line in numbered(chunks):
        end = line.find(b'"', len(_ID))
        known = result_line(line[len(_ID) : end].decode("ascii", "replace")) if line.startswith(_ID) else None
        if known is None:
            raise ValueError(f"line {number} is not a result")
        found.append(known)
    return found


async def picked(chunks: AsyncIterable[bytes], numbers: array[int]) -> AsyncIterator[bytes]:
    """Yield the lines with these ascending `numbers`, each with a newline. Reads to the end, so that sums can be checked."""
    wanted = iter(numbers)
    following = next(wanted, None)
    async for number, line in numbered(chunks):
        if number == following:
            yield line + b"\n"
            following = next(wanted, None)
