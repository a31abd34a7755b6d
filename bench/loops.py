"""The bare loop: what the same parts do with nothing around them but a result file that is synced every second.

``python -m bench.loops FILE ENGINE --in-flight 64`` reads requests line by line, fetches what they name with obstore, splices
it in as base64, posts with the product's own client, splices the answer into a result line. No database, no leases, no retries,
no limits, no checks. It prints one line of JSON. ``--general`` posts with aiohttp instead, as most who write such a loop would.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import aiohttp
import obstore
import pybase64
import uvloop
from obstore.store import S3Store

from pronk.domain.ids import BatchId
from pronk.domain.lines import RequestLine, ResultHead, answer_line, decode_line
from pronk.domain.usage import read_usage
from pronk.engines.client import Answer, Client

if TYPE_CHECKING:
    from obstore.store import S3Config

_REFERENCE = re.compile(rb"s3://([^/\"]+)/([^\"]+)")
_PART_BYTES = 1024 * 1024


class General:
    """The same posts by a client for everything."""

    def __init__(self, engine: str, session: aiohttp.ClientSession) -> None:
        self._root = engine.removesuffix("/v1")
        self._session = session

    async def post(self, path: str, body: bytes) -> Answer:
        """Return the answer at a path like ``/v1/chat/completions``."""
        headers = {"content-type": "application/json"}
        async with self._session.post(self._root + path, data=body, headers=headers) as reply:
            return Answer(reply.status, await reply.read())


class Loop:
    """Fixed coroutines that pull lines from a file."""

    def __init__(self, source: BinaryIO, client: Client | General, sink: BinaryIO) -> None:
        self._source = source
        self._client = client
        self._sink = sink
        self._part: list[bytes] = []
        self._size = 0
        self._stores: dict[str, S3Store] = {}
        self.count = 0

    async def run(self, in_flight: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(self._hand())
        await asyncio.to_thread(self._write, self._part)

    async def _hand(self) -> None:
        for line in self._source:
            request = decode_line(line)
            self.count += 1
            number = self.count
            body = await self._resolved(request)
            answer = await self._client.post(request.url, body)
            read_usage(answer.body)
            head = ResultHead(BatchId("batch_1"), number, request.custom_id)
            result = answer_line(head, answer.status, answer.request_id, answer.body)
            self._part.append(result)
            self._size += len(result)
            if self._size >= _PART_BYTES:
                part, self._part, self._size = self._part, [], 0
                await asyncio.to_thread(self._write, part)

    async def _resolved(self, request: RequestLine) -> bytes:
        body = bytes(request.body)
        found = _REFERENCE.search(body)
        if found is None:
            return body
        got = await obstore.get_async(self._store(found[1].decode()), found[2].decode())
        data = pybase64.b64encode(memoryview(await got.bytes_async()))
        return b"".join((body[: found.start()], b"data:image/jpeg;base64,", data, body[found.end() :]))

    def _store(self, bucket: str) -> S3Store:
        store = self._stores.get(bucket)
        if store is None:
            store = S3Store(bucket, client_options={"allow_http": True}, config=_aws())
            self._stores[bucket] = store
        return store

    def _write(self, part: list[bytes]) -> None:
        self._sink.write(b"".join(part))
        self._sink.flush()
        os.fsync(self._sink.fileno())


def _aws() -> S3Config:
    keys = {
        "endpoint": "AWS_ENDPOINT_URL",
        "access_key_id": "AWS_ACCESS_KEY_ID",
        "secret_access_key": "AWS_SECRET_ACCESS_KEY",
        "region": "AWS_DEFAULT_REGION",
    }
    return cast("S3Config", {name: os.environ[key] for name, key in keys.items()})


async def measure(given: argparse.Namespace) -> dict[str, float]:
    connector = aiohttp.TCPConnector(limit=0)
    with given.file.open("rb") as source, given.output.open("wb") as sink:
        async with aiohttp.ClientSession(connector=connector) as session:
            client = General(given.engine, session) if given.general else Client(given.engine)
            loop = Loop(source, client, sink)
            return await _timed(loop, given.in_flight)


async def _timed(loop: Loop, in_flight: int) -> dict[str, float]:
    began, cpu = time.monotonic(), time.process_time()
    await loop.run(in_flight)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"requests": loop.count, "seconds": seconds, "cpu": cpu, "peak_mib": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("engine")
    parser.add_argument("--general", action="store_true")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--output", type=Path, required=True)
    print(json.dumps(uvloop.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
