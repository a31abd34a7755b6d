"""A TCP connection's way that can be cut, held in one direction or both, or slowed: what a network does, without losing bytes.

Bytes that are held arrive later, as TCP sends again what was lost; only a cut loses them, and then both ends hear of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

Direction = Literal["there", "back"]
PIECE = 65_536


class Wire:
    """Listens on a port of its own and passes every connection on to `host` and `port`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._ends: set[asyncio.StreamWriter] = set()
        self._open: dict[Direction, asyncio.Event] = {"there": asyncio.Event(), "back": asyncio.Event()}
        self.delay = 0.0
        self.is_cut = False
        self.port = 0
        self.passed = 0
        self.mend()

    def cut(self) -> None:
        """End every connection at once, and every new one."""
        self.is_cut = True
        for end in list(self._ends):
            end.transport.abort()

    def hold(self, *directions: Direction) -> None:
        """Let nothing more pass these ways."""
        for direction in directions:
            self._open[direction].clear()

    def mend(self) -> None:
        """Let everything pass again, what was held first."""
        self.is_cut, self.delay = False, 0.0
        for gate in self._open.values():
            gate.set()

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        self._ends.add(writer)
        try:
            if self.is_cut:
                return
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            self._ends.add(far_writer)
            try:
                async with asyncio.TaskGroup() as pumps:
                    pumps.create_task(self._pump("there", reader, far_writer))
                    pumps.create_task(self._pump("back", far_reader, writer))
            finally:
                self._ends.discard(far_writer)
                far_writer.transport.abort()
        except* OSError:
            pass
        finally:
            self._ends.discard(writer)
            writer.transport.abort()

    async def _pump(
        self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(PIECE):
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._open[direction].wait()
            if writer.is_closing():
                return
            self.passed += len(data)
            writer.write(data)
            await writer.drain()
        if not writer.is_closing():
            writer.write_eof()


@asynccontextmanager
async def open_wire(host: str, port: int) -> AsyncIterator[Wire]:
    """Give a wire to `host` and `port`; its own end is on 127.0.0.1."""
    wire = Wire(host, port)
    meetings: set[asyncio.Task[None]] = set()

    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meeting = asyncio.get_running_loop().create_task(wire.meet(reader, writer))
        meetings.add(meeting)
        meeting.add_done_callback(meetings.discard)

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        wire.cut()
        for meeting in list(meetings):
            meeting.cancel()
        await asyncio.gather(*meetings, return_exceptions=True)
