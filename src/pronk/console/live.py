"""Pieces of a page sent while it is looked at (server-sent events): only those that changed, and nothing while nothing does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

import anyio
import msgspec
from starlette.responses import StreamingResponse

from pronk.console.desk import Desk
from pronk.domain.errors import PronkError

LOOK_SECONDS: Final = 1.0
KEEP_SECONDS: Final = 15
LIFE_SECONDS: Final = 300
"""A browser connects again by itself; by then its key may have been revoked."""

Pieces = Callable[[], Awaitable[Mapping[str, str]]]


def stream(desk: Desk, pieces: Pieces) -> StreamingResponse:
    """Send the pieces by their element's id when one differs from what was sent before.

    The first look sends everything: a page that comes back from the background is right at once.
    """
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_events(desk, pieces), media_type="text/event-stream", headers=headers)


async def _events(desk: Desk, pieces: Pieces) -> AsyncIterator[bytes]:
    sent: dict[str, str] = {}
    silent = 0
    yield b": hello\n\n"
    for _ in range(round(LIFE_SECONDS / LOOK_SECONDS)):
        if desk.is_stopping():
            return
        try:
            fresh = await pieces()
        except PronkError:
            fresh = {}
        changed = {name: html for name, html in fresh.items() if sent.get(name) != html}
        sent.update(changed)
        silent = 0 if changed else silent + 1
        if changed:
            yield b"data: %b\n\n" % msgspec.json.encode(changed)
        elif silent % KEEP_SECONDS == 0:
            yield b": still here\n\n"
        await anyio.sleep(LOOK_SECONDS)
