"""Where processes are killed: a database, a storage, an engine that writes down what it is asked, and mortal workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
from tests.chaos.mortal import Life
from tests.fakes.engine import FakeEngine, fake_engine
from tests.worker.world import request_file

from pronk.app.host import free_the_dead
from pronk.blobs import Blobs, open_blobs
from pronk.domain.batch import Batch, BatchStatus
from pronk.domain.engine import EngineSpec
from pronk.domain.file import File
from pronk.domain.ids import DEFAULT_PROJECT, BatchId, new_batch_id, new_file_id
from pronk.domain.job import DEFAULT_JOB, Job
from pronk.journal import decode_part
from pronk.settings import Settings
from pronk.settings.secret import Secret
from pronk.store.opening import open_database
from pronk.store.store import Store

SECONDS = 60.0
"""Longer than any batch of these tests takes, however often it is killed."""

ENDPOINT = "/v1/chat/completions"


class Mother:
    """Bears workers, and hears of their deaths."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def bear(self, life: Life) -> int:
        """Start a worker; return its process number."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(life).decode() + "\n")
        self._process.stdin.flush()
        return self._hear("born")[0]

    def bury(self, pid: int) -> bool:
        """Return when a worker has ended, whether it was killed."""
        buried, status = self._hear("dead")
        assert buried == pid
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL

    def _hear(self, word: str) -> tuple[int, int]:
        assert self._process.stdout is not None
        told, pid, status = self._process.stdout.readline().split()
        assert told == word, told
        return int(pid), int(status)


@contextmanager
def mother() -> Iterator[Mother]:
    command = [sys.executable, "-m", "tests.chaos.mortal"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Mother(process)
        finally:
            process.kill()


class Field:
    """Real parts that outlive workers."""

    def __init__(self, settings: Settings, folder: Path, engine: FakeEngine, bearer: Mother) -> None:
        self.settings = settings
        self.engine = engine
        self.folder = folder
        self.mother = bearer
        self.store = Store(open_database(settings.database.reveal()))
        self.blobs: Blobs = open_blobs(settings.storage)

    async def add(self, lines: int, *, model: str = "m") -> BatchId:
        """Add a batch that waits for a worker."""
        return await self.add_data(request_file(lines, model=model))

    async def add_data(self, data: bytes) -> BatchId:
        """Add a batch of these request lines."""
        file_id, now = new_file_id(), int(time.time())
        await self.blobs.put(f"files/{file_id}", data)
        file = File(
            id=file_id,
            project_id=DEFAULT_PROJECT,
            purpose="batch",
            filename="in",
            bytes=len(data),
            blob=f"files/{file_id}",
            created_at=now,
        )
        await self.store.files.add(file)
        batch = Batch(
            id=new_batch_id(),
            project_id=DEFAULT_PROJECT,
            status=BatchStatus.VALIDATING,
            endpoint=ENDPOINT,
            input_file_id=file_id,
            completion_window="unlimited",
            job=Job(id=DEFAULT_JOB),
            created_at=now,
        )
        return await self.store.batches.add(batch)

    def life(self, **more: Any) -> Life:
        return Life(self.settings.to_json().decode(), log=str(self.folder / "workers.log"), **more)

    async def bury(self, pid: int) -> bool:
        """Wait for a worker's end, and hand over what it held, as its server would; return whether it was killed."""
        was_killed = await anyio.to_thread.run_sync(self.mother.bury, pid)
        await free_the_dead(self.store)
        return was_killed

    async def stop(self, pid: int) -> bool:
        os.kill(pid, signal.SIGTERM)
        return await self.bury(pid)

    async def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        await self.bury(pid)

    async def until(self, batch_id: BatchId, holds: Callable[[Batch], bool]) -> Batch:
        with anyio.fail_after(SECONDS):
            while not holds(batch := await self.store.batches.get(None, batch_id)):  # noqa: ASYNC110
                await anyio.sleep(0.005)
        return batch

    async def journalled(self, batch_id: BatchId) -> set[str]:
        """Return what stands in whole parts."""
        found = set()
        for name in await self.blobs.names(f"journals/{batch_id}/"):
            try:
                part = await self.blobs.get(name)
            except FileNotFoundError:
                continue
            found |= {_asked(line) for _, line in decode_part(part)}
        return found

    async def lines(self, file_id: str | None) -> list[Any]:
        if file_id is None:
            return []
        file = await self.store.files.get(DEFAULT_PROJECT, file_id, now=0)
        data = await self.blobs.get(file.blob)
        assert len(data) == file.bytes
        return [msgspec.json.decode(line) for line in data.splitlines()]

    def asked(self) -> Counter[str]:
        """Return how often each line has been sent."""
        bodies = [msgspec.json.decode(seen.body) for seen in self.engine.requests]
        return Counter(f"r-{body['messages'][0]['content']}" for body in bodies)


def _asked(line: bytes) -> str:
    return str(msgspec.json.decode(line)["custom_id"])


@asynccontextmanager
async def open_field(
    folder: Path, database: str, bearer: Mother, *, keeps: bool = True, max_in_flight: int = 8, **more: Any
) -> AsyncIterator[Field]:
    """Open a field on a database; `more` are settings. The engine remembers what it is asked when it `keeps`."""
    async with fake_engine(keep=keeps) as engine:
        pool = EngineSpec(urls=(engine.url,), max_in_flight=max_in_flight)
        plain: dict[str, Any] = {
            "database": Secret(database),
            "storage": f"file://{folder}/blobs",
            "data_dir": folder,
            "engines": {"default": pool},
            "heartbeat_seconds": 0.1,
            "lease_seconds": 5.0,
            "flush_seconds": 0.02,
            "shutdown_grace_seconds": 5.0,
            "cache_disk_bytes": 0,
        }
        field = Field(Settings(**(plain | more)), folder, engine, bearer)
        await field.store.open(now=1)
        try:
            yield field
        finally:
            with anyio.CancelScope(shield=True):
                await field.store.close()
