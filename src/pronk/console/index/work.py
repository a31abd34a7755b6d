"""The program of the child that reads lines for indexes: a message in, rows in files, a word back; until its input ends.

A message is four bytes of length (big endian) and MessagePack: the name of one of `WORK` and its arguments.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

import msgspec

from pronk.console.index import extract, looks

LOWEST_PRIORITY: Final = 19
WORK: Final[Mapping[str, Callable[..., int]]] = {
    "requests": extract.take_requests,
    "results": extract.take_results,
    "part": extract.take_part,
    "facts": extract.take_facts,
    "looks": looks.take_looks,
}


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer each message with how many rows were written, or with the error as text."""
    while length := source.read(4):
        name, arguments = msgspec.msgpack.decode(
            source.read(*struct.unpack(">I", length)), type=tuple[str, list[Any]]
        )
        answer = msgspec.msgpack.encode(_done(name, arguments))
        sink.write(struct.pack(">I", len(answer)) + answer)
        sink.flush()


def _done(name: str, arguments: list[Any]) -> int | str:
    try:
        return WORK[name](*arguments)
    except Exception as error:  # noqa: BLE001 - the one who asked hears of it
        return repr(error)


if __name__ == "__main__":
    os.setpriority(os.PRIO_PROCESS, 0, LOWEST_PRIORITY)
    serve(sys.stdin.buffer, sys.stdout.buffer)
