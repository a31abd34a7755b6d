"""The fastest other side there can be: an engine that answers at once and a store whose every key is one picture.

``python -m bench.instant --picture-bytes 100000`` prints its URL as JSON and serves until its input ends. POST is a chat
completion, GET of two or more path segments is an object. With ``--seats`` it is an engine that serves so many at once for
``--seconds`` each, and `stats` says how long its seats were taken. Request bodies are counted, not read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast
from urllib.request import urlopen

import uvloop
from bench.media_world import picture

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_TEXT = b"word " * 60
_ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"%b"},"logprobs":null,"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":91,"completion_tokens":60,"total_tokens":151}}'
) % _TEXT


def _answer(body: bytes, kind: bytes = b"application/json", extra: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%bcontent-length: %d\r\n\r\n%b" % (
        kind,
        extra,
        len(body),
        body,
    )


class Side:
    """What all connections share: the picture, the counts, the seats."""

    def __init__(self, picture_bytes: int, seats: int, seconds: float) -> None:
        image = picture(picture_bytes, random.Random(1)) if picture_bytes else b""
        stamp = (
            b'etag: "1"\r\nlast-modified: Sat, 01 Nov 2025 00:00:00 GMT\r\nx-amz-bucket-region: eu-west-1\r\n'
        )
        self.object = _answer(image, b"image/jpeg", stamp)
        self.object_head = self.object[: len(self.object) - len(image)]
        self.chat = _answer(_ANSWER)
        self.posts = self.gets = self.busy = 0
        self.busy_seconds = 0.0
        self.first_at = self.last_at = 0.0
        self._seats, self._seconds = seats, seconds
        self._waiting: deque[asyncio.Transport] = deque()

    def stats(self) -> dict[str, float]:
        """Return the counts; ``seconds`` is from the first request to the last arrival."""
        return {
            "posts": self.posts,
            "gets": self.gets,
            "busy_seconds": self.busy_seconds,
            "seconds": self.last_at - self.first_at,
        }

    def complete(self, transport: asyncio.Transport) -> None:
        """Answer a completion, at once or when it had its time on a seat."""
        self.posts += 1
        if not self._seats:
            transport.write(self.chat)
            return
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        self._waiting.append(transport)
        self._fill()

    def _fill(self) -> None:
        while self._waiting and self.busy < self._seats:
            self.busy += 1
            began = time.monotonic()
            transport = self._waiting.popleft()
            asyncio.get_running_loop().call_later(self._seconds, partial(self._end, transport, began))

    def _end(self, transport: asyncio.Transport, began: float) -> None:
        self.busy -= 1
        self.busy_seconds += time.monotonic() - began
        if not transport.is_closing():
            transport.write(self.chat)
        self._fill()


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request at a time; a body is skipped as it comes."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._head = b""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
            if self._missing <= 0:
                self._missing = 0
                self._side.complete(self._transport)
            return
        data = self._head + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._head = data
            return
        self._head = b""
        self._begin(data, end)

    def _begin(self, data: bytes, end: int) -> None:
        if data.startswith(b"POST"):
            length = _LENGTH.search(data, 0, end + 2)
            self._missing = (int(length[1]) if length else 0) - (len(data) - end - 4)
            if self._missing <= 0:
                self._missing = 0
                self._side.complete(self._transport)
        else:
            method, path, _ = data.split(b" ", 2)
            self._look(method, path)

    def _look(self, method: bytes, path: bytes) -> None:
        if path == b"/stats":
            self._transport.write(_answer(json.dumps(self._side.stats()).encode()))
        elif method == b"HEAD":
            self._transport.write(self._side.object_head)
        elif path.count(b"/") < 2 or path.startswith(b"/v1/"):
            self._transport.write(_answer(b"{}"))
        else:
            self._side.gets += 1
            self._transport.write(self._side.object)


@dataclass(frozen=True)
class Instant:
    """A running other side."""

    url: str
    pid: int

    @property
    def engine(self) -> str:
        return f"{self.url}/v1"

    def stats(self) -> dict[str, Any]:
        """Return the counts since the start."""
        with urlopen(f"{self.url}/stats", timeout=10) as answer:  # noqa: S310  # it is ours
            found: dict[str, Any] = json.load(answer)
        return found


@contextmanager
def instant(*, picture_bytes: int = 0, seats: int = 0, seconds: float = 0.0) -> Iterator[Instant]:
    """Run the other side in a process of its own until the block ends."""
    flags = [f"--picture-bytes={picture_bytes}", f"--seats={seats}", f"--seconds={seconds}"]
    command = (sys.executable, "-m", "bench.instant", *flags)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None  # noqa: S101  # it was opened with pipes
        assert child.stdin is not None  # noqa: S101
        yield Instant(json.loads(child.stdout.readline())["url"], child.pid)
        child.stdin.close()


async def serve(side: Side) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(side), "127.0.0.1", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    ended = asyncio.Event()
    loop.add_reader(0, ended.set)
    await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture-bytes", type=int, default=0)
    parser.add_argument("--seats", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0)
    given = parser.parse_args()
    uvloop.run(serve(Side(given.picture_bytes, given.seats, given.seconds)))


if __name__ == "__main__":
    main()
