"""A local file on its way into an object store, with this machine's settings and credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from pronk.app import entry
from pronk.app.parts import open_media
from pronk.blobs import CHUNK_BYTES
from pronk.media.regions import NoMemory
from pronk.settings import Settings


def carry_out(settings: Settings, file: Path, url: str) -> None:
    """Store a file as an object. Raises MediaError."""
    entry.run(settings, _carry, settings, file, url)


async def _carry(settings: Settings, file: Path, url: str) -> None:
    async with open_media(settings, NoMemory()) as resolver:
        await resolver.whole.write(url, lambda: chunks_of(file))


async def chunks_of(path: Path) -> AsyncIterator[bytes]:
    """Yield a file piece by piece."""
    async with await anyio.open_file(path, "rb") as source:
        while data := await source.read(CHUNK_BYTES):
            yield data
