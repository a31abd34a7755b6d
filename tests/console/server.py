"""The conformance suite's server with the console on it; pictures come through a real resolver, from ``data:`` URLs."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import msgspec
import uvicorn
from tests.conformance.server import Server, in_a_thread
from tests.fakes.aws.server import Aws, open_aws
from tests.media.pictures import png
from tests.worker.world import World

from pronk.api.app import create_api
from pronk.api.parts import ApiParts, Engines
from pronk.app.front import http_config
from pronk.console.opening import add_console, open_console
from pronk.domain.bucket import BucketRule
from pronk.journal import Journal
from pronk.media.resolve import open_resolver

CHAT: Final = "/v1/chat/completions"
BUCKETS: Final = BucketRule(match="*", region="us-east-1", addressing="path", anonymous=True)
PICTURE: Final = "data:image/png;base64," + base64.b64encode(png()).decode()


class ConsoleServer(Server):
    """A running server with pages. Thumbnails and listings come from buckets of `aws`, which anybody may read."""

    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(folder, **more)
        self.aws = Aws()
        self._loop: asyncio.AbstractEventLoop

    def release(self) -> None:
        """Let the engine answer everything that it holds; from any thread."""
        self._loop.call_soon_threadsafe(self.engine.release)

    def new_bucket(self, name: str, *keys: str, body: bytes | None = None) -> None:
        """Make a bucket that holds a picture, or `body`, below each key."""
        bucket = self.aws.new_bucket(name)
        bucket.is_public = True
        for key in keys:
            bucket.put(key, png() if body is None else body)

    async def _listen(self, world: World, pool: Engines, said: SimpleQueue[str | BaseException]) -> None:
        parts = ApiParts(
            store=world.store,
            blobs=world.blobs,
            journal=Journal(world.blobs),
            settings=self.settings,
            now=self.now,
            pools={"default": pool},
            resolver=world.media,
            version="0.0.0",
        )
        self._loop = asyncio.get_running_loop()
        async with (
            open_aws(self.aws) as aws,
            open_resolver(buckets=(msgspec.structs.replace(BUCKETS, endpoint=aws.url),)) as resolver,
            open_console(parts, resolver, {"default": world.pool}) as desk,
        ):
            app = create_api(parts)
            add_console(app, desk)
            server = uvicorn.Server(http_config(app, self.settings))
            self._stop = lambda: setattr(server, "force_exit", True) or setattr(server, "should_exit", True)  # type: ignore[func-returns-value]
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                listener.listen(1024)
                self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                said.put(self.url)
                await server.serve([listener])


@contextmanager
def console_server(folder: Path, **settings: Any) -> Iterator[ConsoleServer]:
    """Give a server that runs batches on a fake engine; it ends with the block."""
    server = ConsoleServer(folder, has_worker=True, settings=settings)
    with in_a_thread(server):
        yield server


def line(number: int, text: str, *, picture: bool = True, **more: Any) -> dict[str, Any]:
    """Return a request line about a picture; a reference in `reference` comes in its place."""
    url = more.pop("reference", PICTURE)
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}}] if picture else []
    body = {
        "model": more.pop("model", "m"),
        "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}],
    }
    return {"custom_id": more.pop("custom_id", f"r{number}"), "method": "POST", "url": CHAT, "body": body}


def as_file(lines: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in lines).encode()
