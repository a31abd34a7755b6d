"""A small, very fast OpenAI-shaped engine for tests and benches: echoes, remembers, counts, and misbehaves on request.

In a test::

    async with fake_engine() as engine:
        engine.models["gpt"] = Behaviour(status=503, retry_after=2.0)
        ...
        await engine.until(lambda e: e.aborted == 1)

As a process: ``python -m tests.fakes.engine --port 0`` prints ``ready URL``; `engine_process` does that for you.

A request's `Behaviour` is the next of `engine.script`, else the one of `engine.models`, else what its model name says:
``status-503``, ``delay-0.2``, ``hold``, ``cut``, ``garbage``; any other name is answered at once with an echo.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import ssl
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any, Literal
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import msgspec
import uvloop
from tests.fakes import engine_answers as answers
from tests.fakes.engine_http import Connection, Exchange


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to a request instead of an answer at once.

    `hold` waits for `release()`; of a streamed answer the first event is sent before. `cut` closes the connection
    ``before`` any byte of the answer or in the ``middle`` of it. `garbage` answers 200 with something not JSON.
    """

    status: int = 200
    retry_after: float | None = None
    delay: float = 0.0
    hold: bool = False
    cut: Literal["", "before", "middle"] = ""
    garbage: bool = False


class Seen(msgspec.Struct, frozen=True):
    """A request as it came in."""

    path: str
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the value of a header, or None."""
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None


_AT_ONCE = Behaviour()


@lru_cache(1024)
def _named(model: str) -> Behaviour:
    kind, _, value = model.partition("-")
    if kind == "status" and value.isdigit():
        return Behaviour(status=int(value))
    if kind == "delay":
        return Behaviour(delay=float(value))
    plain = {"hold": Behaviour(hold=True), "cut": Behaviour(cut="before"), "garbage": Behaviour(garbage=True)}
    return plain.get(model, _AT_ONCE)


class FakeEngine:
    """The state that tests read and script. All counts are since the start. With `slots` it has no queue: 429 beyond them."""

    def __init__(
        self,
        *,
        keep: bool = True,
        record: str | None = None,
        marker: str | None = None,
        api_key: str | None = None,
    ) -> None:
        self.url = ""
        self.models: dict[str, Behaviour] = {}
        self.script: deque[Behaviour] = deque()
        self.requests: list[Seen] = []
        self.refused = 0
        self.request_count = self.in_flight = self.high_water = self.aborted = self.connection_count = 0
        self.slots: int | None = None
        self.model_list: bytes | None = None
        self.health_status = 200
        self.metrics: str | None = None
        self.probes: list[str] = []
        self.connections: set[Connection] = set()
        self.held: list[Exchange] = []
        self._keep = keep
        self._record = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if record else None
        self._marker = re.compile(marker.encode()) if marker else None
        self._api_key = api_key
        self._changed: asyncio.Event | None = None
        self._server: asyncio.Server | None = None
        self._port = 0
        self._tls: ssl.SSLContext | None = None

    async def start(
        self, port: int = 0, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1"
    ) -> None:
        """Listen; 0 takes a free port."""
        loop = asyncio.get_running_loop()
        self._tls = tls
        self._server = await loop.create_server(lambda: Connection(self), host, port, ssl=tls, backlog=4096)
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self._port}/v1"

    async def go_down(self) -> None:
        """Refuse new connections and cut the open ones, as a killed process does."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await self.until(lambda engine: not engine.connections)

    async def come_back(self) -> None:
        """Listen again on the port of before."""
        await self.start(self._port, self._tls)

    def close_idle(self) -> None:
        """Close the connections that no request is on, as a server's keep-alive timeout does."""
        for connection in list(self.connections):
            if connection.exchange is None:
                connection.transport.close()

    def release(self) -> None:
        """Answer everything that is held."""
        held, self.held = self.held, []
        for exchange in held:
            exchange.go_on()

    async def until(self, holds: Callable[[FakeEngine], bool]) -> None:
        """Wait until `holds(engine)`; looked at after every request, answer and closed connection."""
        while not holds(self):
            self._changed = self._changed or asyncio.Event()
            self._changed.clear()
            await self._changed.wait()

    def touch(self) -> None:
        """Wake those in `until`."""
        if self._changed is not None:
            self._changed.set()

    def stats(self) -> dict[str, int]:
        """Return all counts."""
        names = ("request_count", "in_flight", "high_water", "aborted", "connection_count")
        return {name: getattr(self, name) for name in names}

    def receive(self, connection: Connection, head: bytes, body: bytes) -> None:
        """Take a whole request and answer it, now or later."""
        method, target, _ = head.split(b" ", 2)
        path = target.decode()
        if path == "/control" or method == b"GET":
            connection.send(*self._look(path, body))
            return
        self.request_count += 1
        if self._keep:
            self.requests.append(Seen(path, head, body))
        if self._record is not None:
            self._write(body)
        self.in_flight += 1
        self.high_water = max(self.high_water, self.in_flight)
        self._serve(connection, path, head, body)
        self.touch()

    def _serve(self, connection: Connection, path: str, head: bytes, body: bytes) -> None:
        if self.slots is not None and self.in_flight > self.slots:
            self.refused += 1
            self._refuse(connection, 429, f"{self.slots} requests are running and there is no queue")
            return
        if self._api_key and b"Bearer " + self._api_key.encode() not in head:
            self._refuse(connection, 401, "wrong key")
            return
        try:
            request = answers.decode(body)
        except msgspec.MsgspecError as error:
            self._refuse(connection, 400, str(error))
            return
        behaviour = self._behaviour(request.model)
        if behaviour is _AT_ONCE and not request.stream:
            self.in_flight -= 1
            connection.send(200, answers.answer(path, request, len(body)))
            return
        Exchange(self, connection, (path, request, len(body)), behaviour).begin()

    def _refuse(self, connection: Connection, status: int, message: str) -> None:
        self.in_flight -= 1
        connection.send(status, answers.error(status, message))

    def _behaviour(self, model: str) -> Behaviour:
        if self.script:
            return self.script.popleft()
        return self.models.get(model) or _named(model)

    def _write(self, body: bytes) -> None:
        found = self._marker.search(body) if self._marker else None
        line = found[0] if found else body.replace(b"\n", b" ")
        os.write(self._record or 0, line + b"\n")

    def _look(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.probes.append(path)
        self.touch()
        if path == "/control":
            if body:
                self._obey(msgspec.json.decode(body))
            return 200, answers.encode(self.stats())
        if path == "/health":
            return self.health_status, b""
        if path == "/v1/models":
            found = answers.models(sorted(self.models) or ["fake"])
            return 200, found if self.model_list is None else self.model_list
        if path == "/metrics" and self.metrics is not None:
            return 200, self.metrics.encode()
        return 404, answers.error(404, f"no {path}")

    def _obey(self, order: dict[str, Any]) -> None:
        self.models |= msgspec.convert(order.get("models", {}), dict[str, Behaviour])
        self.script.extend(msgspec.convert(order.get("script", []), list[Behaviour]))
        self.metrics = order.get("metrics", self.metrics)
        self.health_status = order.get("health_status", self.health_status)
        if order.get("release"):
            self.release()


@asynccontextmanager
async def fake_engine(*, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[FakeEngine]:
    """Run an engine in the caller's own loop; options are those of `FakeEngine`."""
    engine = FakeEngine(**options)
    await engine.start(tls=tls)
    try:
        yield engine
    finally:
        await engine.go_down()


class EngineProcess(msgspec.Struct):
    """A fake engine in a process of its own."""

    url: str
    process: subprocess.Popen[str]

    def control(self, **order: Any) -> dict[str, int]:
        """Send an order (`models`, `script`, `release`, `metrics`, `health_status`) and return the counts."""
        target = self.url.removesuffix("/v1") + "/control"
        with urlopen(UrlRequest(target, data=msgspec.json.encode(order)), timeout=10) as response:
            counts: dict[str, int] = msgspec.json.decode(response.read())
        return counts


@contextmanager
def engine_process(*arguments: str) -> Iterator[EngineProcess]:
    """Run ``python -m tests.fakes.engine`` with `arguments` until the block ends; it also ends with this process."""
    command = [sys.executable, "-m", "tests.fakes.engine", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield EngineProcess(process.stdout.readline().split()[1], process)
        finally:
            process.kill()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A fake OpenAI-shaped engine.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--record", help="append one line for each request to this file before it is answered"
    )
    parser.add_argument("--marker", help="of a request record only the first match of this pattern")
    parser.add_argument(
        "--model", action="append", default=[], help='NAME={"delay":0.1,...}: behaviour of a model'
    )
    parser.add_argument("--api-key")
    parser.add_argument("--outlive", action="store_true", help="do not stop when standard input closes")
    return parser.parse_args()


async def _main(arguments: argparse.Namespace) -> None:
    engine = FakeEngine(
        keep=False, record=arguments.record, marker=arguments.marker, api_key=arguments.api_key
    )
    for given in arguments.model:
        name, _, behaviour = given.partition("=")
        engine.models[name] = msgspec.json.decode(behaviour, type=Behaviour)
    await engine.start(arguments.port, host=arguments.host)
    sys.stdout.write(f"ready {engine.url}\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    if not arguments.outlive:
        asyncio.get_running_loop().add_reader(0, stopped.set)
    await stopped.wait()


if __name__ == "__main__":
    uvloop.run(_main(_arguments()))
