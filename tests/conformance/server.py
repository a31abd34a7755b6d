"""A whole server on real parts, in a thread of its own: uvicorn, SQLite, disk, a worker, a fake engine."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import anyio
import msgspec
import uvicorn
from tests.fakes.engine import FakeEngine
from tests.worker.world import FakeMedia, World, open_world

from pronk.api.app import ApiParts, create_api
from pronk.api.parts import Engines
from pronk.app.front import http_config
from pronk.domain.engine import EngineSpec
from pronk.domain.ids import JobId
from pronk.domain.job import Job, Price
from pronk.engines.pool import open_pool
from pronk.engines.turns import in_turn
from pronk.journal import Journal
from pronk.settings import Secret, Settings

IN_FLIGHT = 32
"""Requests of all kinds that the engine is asked at once."""

ENGINE = EngineSpec(urls=("http://127.0.0.1:1/v1",))

JOBS = {
    job.id: job
    for job in (
        Job(id=JobId("job-default")),
        Job(
            id=JobId("job-priced"),
            model="priced",
            completion_window="48h",
            price=Price(input_per_1m=1.0, output_per_1m=2.0),
        ),
        Job(id=JobId("job-cold"), model="cold", defaults={"temperature": msgspec.Raw(b"0.10")}),
    )
}


class Server:
    """A running server. `late` is added to its clock."""

    def __init__(self, folder: Path, *, has_worker: bool, settings: dict[str, Any]) -> None:
        self.late = 0.0
        self.url = ""
        self.engine: FakeEngine
        self.media: FakeMedia
        self.blobs_folder = folder / "blobs"
        self.settings = Settings(
            data_dir=folder,
            database=Secret(f"sqlite:///{folder}/pronk.db"),
            storage=f"file://{folder}/blobs",
            **{"engines": {"default": ENGINE}, "jobs": JOBS, **settings},
        )
        self._has_worker = has_worker
        self._stop: Callable[[], None] = lambda: None

    def now(self) -> float:
        return time.time() + self.late

    def blobs(self) -> list[str]:
        """Return the names of everything in storage but journals, which go a little after their batch has ended."""
        tops = (top for top in self.blobs_folder.iterdir() if top.name != "journals")
        files = (path for top in tops for path in top.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.blobs_folder).as_posix() for path in files)

    def run(self, said: SimpleQueue[str | BaseException]) -> None:
        """Serve until told to stop; say the URL, or what went wrong."""
        try:
            anyio.run(self._serve, said, backend_options={"use_uvloop": True})
        except BaseException as error:  # noqa: BLE001
            said.put(error)

    def stop(self) -> None:
        """End `run` from another thread."""
        self._stop()

    async def _serve(self, said: SimpleQueue[str | BaseException]) -> None:
        async with open_world(self.settings.data_dir, in_flight=IN_FLIGHT, leaves_reserve=True) as world:
            self.engine = world.engine
            self.media = world.media
            world.now = self.now
            spec = EngineSpec(urls=(world.engine.url,), max_in_flight=IN_FLIGHT)
            async with (
                world.working() if self._has_worker else nullcontext(),
                open_pool(spec, api_key=None, clock=time.monotonic, chance=random.Random(1)) as pool,
                anyio.create_task_group() as group,
            ):
                group.start_soon(pool.run)
                await self._listen(world, in_turn(pool, spec), said)
                group.cancel_scope.cancel()

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
        server = uvicorn.Server(http_config(create_api(parts), self.settings))
        self._stop = lambda: setattr(server, "should_exit", True)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(1024)
            scheme = "https" if self.settings.tls_cert else "http"
            self.url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
            said.put(self.url)
            await server.serve([listener])


@contextmanager
def running_server(folder: Path, *, has_worker: bool = False, **settings: Any) -> Iterator[Server]:
    """Give a server that listens on a free port of this machine; it ends with the block."""
    server = Server(folder, has_worker=has_worker, settings=settings)
    with in_a_thread(server):
        yield server


@contextmanager
def in_a_thread(server: Server) -> Iterator[None]:
    """Run a server beside the block; what ended it badly is raised."""
    said: SimpleQueue[str | BaseException] = SimpleQueue()
    thread = threading.Thread(target=server.run, args=(said,), name="server")
    thread.start()
    first = said.get(timeout=120)
    if isinstance(first, BaseException):
        raise first
    try:
        yield
    finally:
        server.stop()
        thread.join(timeout=120)
    if not said.empty():
        raise AssertionError("the server ended badly") from said.get()  # type: ignore[misc]
