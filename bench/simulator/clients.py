"""What one request to an engine costs each HTTP client, in one run: ``python -m bench.simulator.clients``.

aiohttp comes with pronk; pyqwest takes part where it is installed.
"""

from __future__ import annotations

import asyncio
import importlib.util
import resource
import time
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec
import uvloop
from tests.fakes.engine import engine_process

from pronk.engines.client import Client

PATH = "/v1/chat/completions"
HEADERS = {"content-type": "application/json"}
Post = Callable[[bytes], Awaitable[int]]


def body_of(size: int) -> bytes:
    """Return a request with a picture of so many characters; its answer is short."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * size}}
    return msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": [image]}]})


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _drive(post: Post, body: bytes, count: int, lanes: int) -> None:
    left = iter(range(count))

    async def lane() -> None:
        for _ in left:
            if await post(body) != 200:
                raise RuntimeError("the engine did not answer 200")

    async with asyncio.TaskGroup() as group:
        for _ in range(lanes):
            group.create_task(lane())


async def _measure(name: str, post: Post, body: bytes, count: int, lanes: int) -> None:
    await _drive(post, body, 2 * lanes, lanes)
    cpu, began = _cpu(), time.perf_counter()
    await _drive(post, body, count, lanes)
    seconds, used = time.perf_counter() - began, _cpu() - cpu
    print(
        f"{name:10} {len(body):8} {lanes:6} {count / seconds:9.0f}/s {1000 * used / count:8.3f} ms CPU",
        flush=True,
    )


def _posts(url: str, session: aiohttp.ClientSession) -> dict[str, Post]:
    client, target = Client(url), url + PATH.removeprefix("/v1")

    async def ours(body: bytes) -> int:
        return (await client.post(PATH, body)).status

    async def theirs(body: bytes) -> int:
        async with session.post(target, data=body, headers=HEADERS) as response:
            await response.read()
            return response.status

    return {"pronk": ours, "aiohttp": theirs, **_pyqwest(target)}


def _pyqwest(target: str) -> dict[str, Post]:
    if importlib.util.find_spec("pyqwest") is None:
        return {}
    import pyqwest  # noqa: PLC0415

    transport = pyqwest.HTTPTransport(pool_max_idle_per_host=4096, enable_otel=False)
    client = pyqwest.Client(transport)

    async def post(body: bytes) -> int:
        status: int = (await client.post(target, HEADERS, body)).status
        return status

    return {"pyqwest": post}


async def _main(url: str) -> None:
    print("client     body bytes  lanes")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for size, count, lanes in (
            (400, 20_000, 64),
            (400, 20_000, 512),
            (133_000, 4_000, 64),
            (1_300_000, 500, 64),
        ):
            for name, post in _posts(url, session).items():
                await _measure(name, post, body_of(size), count, lanes)


if __name__ == "__main__":
    with engine_process() as engine:
        uvloop.run(_main(engine.url))
