"""Worker processes of a server: started, watched, started again, ended with it."""

from __future__ import annotations

import signal
import subprocess
import sys

import anyio
import anyio.abc
import structlog

from pronk.app.host import this_host
from pronk.domain.errors import OutageError
from pronk.settings import Settings, child_environment
from pronk.store.store import Store
from pronk.telemetry import VARIABLE, Folder

log = structlog.get_logger()

FIRST_DELAY = 0.5
MAX_DELAY = 30.0
STEADY_SECONDS = 60.0


class Children:
    """`settings.workers` processes that run ``pronk worker`` with the server's own settings; their metrics go to `folder`."""

    def __init__(self, settings: Settings, store: Store, folder: Folder) -> None:
        self._settings = settings
        self._store = store
        self._folder = folder
        self._processes: set[anyio.abc.Process] = set()
        self._is_stopping = False

    async def run(self) -> None:
        """Keep the processes alive until `stop`."""
        async with anyio.create_task_group() as group:
            for _ in range(self._settings.workers):
                group.start_soon(self._keep)

    def stop(self) -> None:
        """Tell every process to drain; a second call cancels what still runs."""
        self._is_stopping = True
        for process in list(self._processes):
            process.send_signal(signal.SIGTERM)

    async def _keep(self) -> None:
        delay = FIRST_DELAY
        while not self._is_stopping:
            started = anyio.current_time()
            await self._run_one()
            if self._is_stopping:
                return
            delay = (
                FIRST_DELAY if anyio.current_time() - started > STEADY_SECONDS else min(delay * 2, MAX_DELAY)
            )
            log.warning("worker_ended", next_start_seconds=delay)
            await anyio.sleep(delay)

    async def _run_one(self) -> None:
        command = [sys.executable, "-m", "pronk", "worker", "--settings=-"]
        process = await anyio.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=None,
            stderr=None,
            env=child_environment({VARIABLE: str(self._folder.path)}, is_own=True),
            start_new_session=True,
        )
        self._processes.add(process)
        try:
            await self._greet(process)
            await process.wait()
        finally:
            self._processes.discard(process)
            if process.returncode is None:
                process.kill()
            self._folder.bury(process.pid)
            await self._free(process.pid)

    async def _greet(self, process: anyio.abc.Process) -> None:
        """Hand the settings over; the pipe stays open, and its end tells the worker that its server is gone."""
        if process.stdin is not None:
            await process.stdin.send(self._settings.to_json() + b"\n")

    async def _free(self, pid: int) -> None:
        """Hand over at once what a process that was seen to end held."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            try:
                worker_id = await self._store.workers.find_of_process(host=this_host(), pid=pid)
                if worker_id is not None:
                    await self._store.shards.reclaim_of_worker(worker_id)
            except OutageError as outage:
                log.warning("outage", doing="freeing a worker's shards", error=str(outage))
