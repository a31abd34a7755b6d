"""The child that reads lines for indexes, seen from the server: started when it is needed, one message at a time."""

from __future__ import annotations

import os
import struct
import sys
from subprocess import DEVNULL, PIPE
from typing import Any

import anyio
import msgspec
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from pronk.domain.errors import UnavailableError


class Child:
    """One process of the lowest priority, so that whoever looks takes nothing from who works."""

    def __init__(self) -> None:
        self._turn = anyio.Lock()
        self._process: Process | None = None

    async def do(self, name: str, *arguments: Any) -> None:
        """Have a function of `extract` done. Raises UnavailableError for what it could not do."""
        message = msgspec.msgpack.encode((name, arguments))
        async with self._turn:
            process = self._process = self._process or await self._start()
            try:
                answer = await _exchange(process, struct.pack(">I", len(message)) + message)
            except BaseException:
                await self._end()
                raise
        if isinstance(answer, str):
            raise UnavailableError(f"The lines cannot be read: {answer}")

    async def close(self) -> None:
        """End it."""
        await self._end()

    async def _start(self) -> Process:
        env = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = (sys.executable, "-m", "pronk.console.index.work")
        return await anyio.open_process(
            command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=env, start_new_session=True
        )

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            if process.returncode is None:
                process.kill()
            await process.aclose()


async def _exchange(process: Process, message: bytes) -> Any:
    assert process.stdin is not None  # noqa: S101 - it was opened with pipes
    assert process.stdout is not None  # noqa: S101
    await process.stdin.send(message)
    stream = BufferedByteReceiveStream(process.stdout)
    (length,) = struct.unpack(">I", await stream.receive_exactly(4))
    return msgspec.msgpack.decode(await stream.receive_exactly(length))
