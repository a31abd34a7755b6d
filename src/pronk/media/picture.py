"""Children that change pixels and draw pages: started when needed, kept, and replaced when they crash or take too long."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from subprocess import DEVNULL, PIPE

import anyio
import msgspec
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from pronk.media.fetched import FetchError
from pronk.media.work import Change, Changed, Draw, Refused, Result, Shrink, Work

_RESULT: msgspec.msgpack.Decoder[Result] = msgspec.msgpack.Decoder(Result)
_TRIES = 2

OUR_CHILD = (sys.executable, "-m", "pronk.media.pixels")
"""The command of a picture child."""


class Pictures:
    """At most `processes` children; one that is not done in `seconds` is ended. Made by `open_pictures`."""

    def __init__(self, processes: int, seconds: float, command: tuple[str, ...]) -> None:
        self._places = anyio.Semaphore(processes)
        self._seconds = seconds
        self._command = command
        self._idle: list[Process] = []

    async def change(self, data: bytes, type_: str, max_pixels: int) -> Changed:
        """Return the first frame upright, at most `max_pixels` large (0 for any), as JPEG if it was one, else as PNG."""
        return await self._done(Change(data, type_, max_pixels))

    async def draw(self, data: bytes, page: int, dpi: int, max_pixels: int) -> Changed:
        """Return a page (from 1) of a PDF document in `dpi` dots per inch, or as many as fit into `max_pixels`."""
        return await self._done(Draw(data, page, dpi, max_pixels))

    async def shrink(self, data: bytes, type_: str, edge: int, max_bytes: int) -> Changed:
        """Return the first frame upright as a WebP to look at, no longer than `edge` pixels and about `max_bytes` (0 for any)."""
        return await self._done(Shrink(data, type_, edge, max_bytes))

    async def close(self) -> None:
        """End the children that wait for work."""
        while self._idle:
            await _end(self._idle.pop())

    async def _done(self, asked: Work) -> Changed:
        """A child that dies is replaced and its work tried once more, because something else may have ended it."""
        work = msgspec.msgpack.encode(asked)
        for _ in range(_TRIES):
            try:
                answer = await self._ask(struct.pack(">I", len(work)) + work)
            except TimeoutError as error:
                raise FetchError("invalid", "takes too long to decode") from error
            except (
                anyio.BrokenResourceError,
                anyio.ClosedResourceError,
                anyio.IncompleteRead,
                anyio.EndOfStream,
            ):
                continue
            result = _RESULT.decode(answer)
            if isinstance(result, Refused):
                raise FetchError(result.ending, result.why)
            return result
        raise FetchError("invalid", "cannot be decoded")

    async def _ask(self, message: bytes) -> bytes:
        async with self._places:
            child = self._idle.pop() if self._idle else await self._start()
            try:
                with anyio.fail_after(self._seconds):
                    answer = await _exchange(child, message)
            except BaseException:
                await _end(child)
                raise
            self._idle.append(child)
            return answer

    async def _start(self) -> Process:
        """A session of its own keeps a terminal's interrupt away; its environment holds no secrets."""
        env = {"PYTHONPATH": os.pathsep.join(sys.path)}
        return await anyio.open_process(
            self._command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=env, start_new_session=True
        )


@asynccontextmanager
async def open_pictures(
    processes: int,
    seconds: float = 20.0,
    command: tuple[str, ...] = OUR_CHILD,
) -> AsyncIterator[Pictures]:
    """Give Pictures whose children end with it. `command` starts a child that speaks as `pixels` does."""
    pictures = Pictures(processes, seconds, command)
    try:
        yield pictures
    finally:
        await pictures.close()


async def _exchange(child: Process, message: bytes) -> bytes:
    assert child.stdin is not None  # noqa: S101  # it was opened with pipes
    assert child.stdout is not None  # noqa: S101
    await child.stdin.send(message)
    stream = BufferedByteReceiveStream(child.stdout)
    (length,) = struct.unpack(">I", await stream.receive_exactly(4))
    return await stream.receive_exactly(length)


async def _end(child: Process) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(5):
        if child.returncode is None:
            child.kill()
        await child.aclose()
