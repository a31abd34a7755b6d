"""Distinct references, however many there are: written to a folder in parts, each small enough to be sorted out in memory.

Written as plain ASCII, so that even what is not Unicode comes back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self
from zlib import crc32

import msgspec

from pronk.domain.reference import Kind

PARTS: Final = 64


class Named(msgspec.Struct):
    """A reference, the first line that names it, and how often it is named."""

    text: str
    kind: Kind
    line: int
    uses: int = 1


class Spool:
    """A context manager around `add` and `distinct`; its folder may be removed afterwards."""

    def __init__(self, folder: Path) -> None:
        self._paths = [folder / f"part-{number:02d}" for number in range(PARTS)]
        self._stack = ExitStack()
        self._files: list[BinaryIO] = []
        self.uses = 0

    def __enter__(self) -> Self:
        self._files = [self._stack.enter_context(path.open("w+b")) for path in self._paths]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, text: str, kind: Kind, line: int) -> None:
        """Take a reference in."""
        self.uses += 1
        part = crc32(text.encode("utf-8", "surrogatepass")) % PARTS
        self._files[part].write(json.dumps([text, kind, line]).encode() + b"\n")

    def distinct(self) -> Iterator[Named]:
        """Yield every reference once, in no order that means anything."""
        for file in self._files:
            file.seek(0)
            found: dict[tuple[str, Kind], Named] = {}
            for line in file:
                new = Named(*json.loads(line))
                known = found.setdefault((new.text, new.kind), new)
                if known is not new:
                    known.uses += 1
            yield from found.values()
