"""A generating process seen from the server: started, spoken to over a socket, and ended."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import Process, UNIXSocketStream

from pronk.engines.bundled.protocol import (
    Frames,
    Open,
    ToChild,
    ToParent,
    frame,
    to_parent_decoder,
)

MODULE = "pronk.engines.bundled.child"
SEND_BUFFER_BYTES = 4 << 20
READ_BYTES = 1 << 18
LEAVE_SECONDS = 2.0


class Child:
    """Messages to and from one process. `post` never waits; `write` sends what was posted."""

    def __init__(self, process: Process, stream: UNIXSocketStream) -> None:
        self._process = process
        self._stream = stream
        self._posted: list[bytes] = []
        self._wake = anyio.Event()

    @property
    def pid(self) -> int:
        return self._process.pid

    def post(self, message: ToChild) -> None:
        self._posted.append(frame(message))
        self._wake.set()

    async def write(self) -> None:
        """Send for ever; returns when the process is gone."""
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                await self._wake.wait()
                self._wake = anyio.Event()
                posted, self._posted = self._posted, []
                for data in posted:
                    await self._stream.send(data)

    async def receive(self) -> AsyncIterator[ToParent]:
        """All messages until the process is gone."""
        frames = Frames()
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                for payload in frames.feed(await self._stream.receive(READ_BYTES)):
                    yield to_parent_decoder.decode(payload)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()


@asynccontextmanager
async def open_child(opening: Open) -> AsyncIterator[Child]:
    """A new process that was told to load `opening`; it ends with the block, killed when it does not go by itself."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    with theirs:
        process = await anyio.open_process(
            [sys.executable, "-m", MODULE, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=None,
            stderr=None,
            pass_fds=(theirs.fileno(),),
        )
    stream = await UNIXSocketStream.from_socket(ours)
    child = Child(process, stream)
    child.post(opening)
    try:
        yield child
    finally:
        with anyio.CancelScope(shield=True):
            await stream.aclose()
            await leave(process)


async def leave(process: Process) -> None:
    """A closed socket asks the process to go; one that is frozen is killed."""
    with anyio.move_on_after(LEAVE_SECONDS):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    await process.aclose()
