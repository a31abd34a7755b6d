"""A whole worker on real parts in a temporary folder: a database, disk, a fake engine behind the real client."""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
from tests.fakes.engine import FakeEngine, fake_engine

from pronk.blobs import Blobs, DiskBlobs
from pronk.domain.batch import Batch, BatchStatus
from pronk.domain.engine import EngineSpec
from pronk.domain.errors import InvalidRequestError, MediaError
from pronk.domain.file import File
from pronk.domain.ids import (
    DEFAULT_PROJECT,
    BatchId,
    ProjectId,
    WorkerId,
    new_batch_id,
    new_file_id,
    new_worker_id,
)
from pronk.domain.job import DEFAULT_JOB, Job, MediaPolicy
from pronk.domain.reference import Kind, parse_reference
from pronk.domain.retry import RetryPolicy
from pronk.engines.pool import Pool, open_pool
from pronk.lifecycle.finalize import Finalize
from pronk.lifecycle.intake import Intake, Limits
from pronk.media.looking import Seen
from pronk.media.policy import check_allowed
from pronk.media.whole import reference_of
from pronk.store.database import Database
from pronk.store.sqlite import open_sqlite
from pronk.store.store import Store
from pronk.worker.lane import Lane
from pronk.worker.loop import Tuning, Worker
from pronk.worker.traced import make_runner

CHAT = "/v1/chat/completions"


def open_database(folder: Path) -> Database:
    return open_sqlite(folder / "pronk.db")


class Resolved:
    """A body with its references replaced."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.pieces = (body,)
        self.facts: tuple[object, ...] = ()
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class FakeHook:
    """Posts nowhere; remembers what it was to post, and answers what the test says, in turn."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int | Exception] = []

    def check(self, url: str) -> None:
        if not url.startswith("https://"):
            raise InvalidRequestError("'url' is no https:// address.", param="url", code="url_not_allowed")

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        await anyio.lowlevel.checkpoint()
        self.posted.append((url, headers, body))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeObjects:
    """``s3://good/KEY`` holds ``KEY`` and a newline, or as many bytes as a key of digits says."""

    def __init__(self) -> None:
        self.written: dict[str, bytes] = {}
        self.refusals: list[MediaError] = []

    async def write(self, text: str, chunks: Callable[[], AsyncIterator[bytes]]) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.written[text] = b"".join([piece async for piece in chunks()])

    async def read(self, text: str, policy: MediaPolicy, max_bytes: int) -> AsyncIterator[bytes]:
        await anyio.lowlevel.checkpoint()
        reference_of(text, policy)
        key = text.removeprefix("s3://good/")
        if key == text:
            raise MediaError("document_not_found", f"{text} does not exist")
        size = int(key) if key.isdecimal() else 0
        if size > max_bytes:
            raise MediaError("document_too_large", f"{text} has {size} bytes")
        yield b"x" * size if size else key.encode() + b"\n"


class FakeMedia:
    """References ``s3://good/…`` become ``data:``, others are not found; counts what it still holds.

    The real policy is asked about each of them first.
    """

    def __init__(self) -> None:
        self.resolved: list[Resolved] = []
        self.asked: list[tuple[bool, bool]] = []
        self.are_looks_held = False
        self.looking = 0
        self.whole = FakeObjects()
        self.hook = FakeHook()

    def names_media(self, body: bytes) -> bool:
        return b"s3://" in body

    async def look(self, text: str, kind: Kind, policy: MediaPolicy) -> Seen:
        await anyio.lowlevel.checkpoint()
        check_allowed(parse_reference(text, kind), policy)
        self.looking += 1
        try:
            while self.are_looks_held:  # noqa: ASYNC110  # set from another thread
                await anyio.sleep(0.005)
        finally:
            self.looking -= 1
        if not text.startswith("s3://good/"):
            raise MediaError("image_not_found", f"{text} does not exist")
        return Seen(type="image/png", bytes=1_000_000, width=56, height=28, region="eu-west-1")

    async def home_region(self) -> str:
        return "us-east-1"

    async def resolve(
        self,
        body: bytes,
        *,
        endpoint: str,  # noqa: ARG002
        policy: MediaPolicy,
        project: ProjectId,  # noqa: ARG002
        fresh_since: float | None = None,  # noqa: ARG002
        with_uuid: bool = False,
        reads_files: bool = False,
    ) -> Resolved:
        self.asked.append((with_uuid, reads_files))
        await anyio.lowlevel.checkpoint()
        for text in re.findall(rb's3://[^"]+', body):
            check_allowed(parse_reference(text.decode(), "image"), policy)
        if b"s3://good/" not in body:
            raise MediaError(
                "image_not_found", "No such object.", param="messages[0].content[0].image_url.url"
            )
        self.resolved.append(Resolved(body.replace(b"s3://good/", b"data:image/png;base64,")))
        return self.resolved[-1]


class World:
    """Real parts and the shortest ways to use them."""

    def __init__(self, folder: Path, engine: FakeEngine, pool: Pool) -> None:
        self.engine = engine
        self.pool = pool
        self.blobs: Blobs = DiskBlobs(folder / "blobs")
        self.store = Store(open_database(folder))
        self.media = FakeMedia()
        self.limits = Limits()
        self.tuning = Tuning(
            heartbeat_seconds=0.02, flush_seconds=0.02, idle_seconds=0.01, turn_seconds=0.01, grace_seconds=5
        )
        self.policy = RetryPolicy(max_tries=3)
        self.now = time.time
        self.waits: list[float] = []

    async def add_file(
        self, data: bytes, *, expires_at: int | None = None, project: ProjectId = DEFAULT_PROJECT
    ) -> File:
        file_id = new_file_id()
        await self.blobs.put(f"files/{file_id}", data)
        file = File(
            id=file_id,
            project_id=project,
            purpose="batch",
            filename="input.jsonl",
            bytes=len(data),
            blob=f"files/{file_id}",
            created_at=1,
            expires_at=expires_at,
            sha256=hashlib.sha256(data).hexdigest(),
        )
        await self.store.files.add(file)
        return file

    async def add_batch(
        self, data: bytes, *, endpoint: str = CHAT, job: Job | None = None, **more: Any
    ) -> BatchId:
        project = more.pop("project", DEFAULT_PROJECT)
        file = await self.add_file(data, expires_at=more.pop("file_expires_at", None), project=project)
        batch = Batch(
            id=new_batch_id(),
            project_id=project,
            status=BatchStatus.VALIDATING,
            endpoint=endpoint,
            input_file_id=file.id,
            completion_window=more.pop("completion_window", "unlimited"),
            job=job or Job(id=DEFAULT_JOB),
            created_at=int(time.time()),
            **more,
        )
        return await self.store.batches.add(batch)

    def intake(self) -> Intake:
        return Intake(self.store, self.blobs, self.limits, now=self.now)

    async def take_in(self, worker_id: WorkerId) -> None:
        """Do the oldest intake that waits."""
        duty = await self.store.duties.claim(worker_id, now=self.now(), until=self.now() + 60)
        assert duty is not None
        await self.intake()(duty)

    def worker(self, worker_id: WorkerId | None = None) -> Worker:
        runner = make_runner(self.pool, self.media, self.policy, chance=lambda: 0.5, sleep=self._wait)
        return Worker(
            self.store,
            self.blobs,
            {"default": Lane(self.pool, runner, fetchers=4)},
            {
                "intake": self.intake(),
                "finalize": Finalize(
                    self.store, self.blobs, now=self.now, new_file_id=new_file_id, retention_seconds=86_400
                ),
            },
            worker_id=worker_id or new_worker_id(),
            host="here",
            now=self.now,
            tuning=self.tuning,
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[anyio.Event]:
        """Run a worker around the block; the event drains it, the end of the block as well."""
        draining = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(self.worker().run, draining)
            yield draining
            draining.set()

    async def until_ended(self, batch_id: BatchId) -> Batch:
        return await self.until(batch_id, lambda batch: batch.is_terminal)

    async def until(self, batch_id: BatchId, holds: Any) -> Batch:
        """Look again and again; the test's time limit ends what never happens."""
        while not holds(batch := await self.store.batches.get(None, batch_id)):  # noqa: ASYNC110
            await anyio.sleep(0.005)
        return batch

    async def lines(self, file_id: str | None) -> list[dict[str, Any]]:
        """Return the lines of a result file, [] for no file."""
        if file_id is None:
            return []
        file = await self.store.files.get(DEFAULT_PROJECT, file_id, now=0)
        data = await self.blobs.get(file.blob)
        assert len(data) == file.bytes
        assert data.endswith(b"\n")
        return [msgspec.json.decode(line) for line in data.splitlines()]

    def sent(self) -> list[str]:
        """Return what the engine was asked, in order of arrival."""
        bodies = [msgspec.json.decode(seen.body) for seen in self.engine.requests]
        return [body["messages"][0]["content"] for body in bodies]

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def open_world(
    folder: Path, *, in_flight: int = 8, leaves_reserve: bool = False
) -> AsyncIterator[World]:
    async with fake_engine() as engine:
        spec = EngineSpec(urls=(engine.url,), max_in_flight=in_flight)
        async with (
            open_pool(
                spec,
                api_key=None,
                clock=time.monotonic,
                chance=random.Random(1),
                leaves_reserve=leaves_reserve,
            ) as pool,
            anyio.create_task_group() as group,
        ):
            group.start_soon(pool.run)
            world = World(folder, engine, pool)
            await world.store.open(now=1)
            try:
                yield world
            finally:
                with anyio.CancelScope(shield=True):
                    await world.store.close()
                group.cancel_scope.cancel()


def request_line(
    number: int, *, model: str = "m", text: str | None = None, custom_id: str | None = None
) -> bytes:
    """Return a chat request that asks ``n`` (or `text`)."""
    body = {"model": model, "messages": [{"role": "user", "content": text or str(number)}]}
    line = {"custom_id": custom_id or f"r-{number}", "method": "POST", "url": CHAT, "body": body}
    return msgspec.json.encode(line) + b"\n"


def request_file(count: int, **more: Any) -> bytes:
    return b"".join(request_line(number, **more) for number in range(1, count + 1))
