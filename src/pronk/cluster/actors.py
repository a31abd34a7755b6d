"""The actors: a worker, and an engine replica with or without a worker beside it. Plain classes; `fleet` makes actors of them.

Settings travel as the line that `Settings.to_json` writes. Every method answers at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import anyio
import msgspec

from pronk.cluster import groups
from pronk.cluster.plan import Member
from pronk.cluster.seat import Seat
from pronk.domain.errors import SettingsError
from pronk.engines.launch import Place, launch
from pronk.settings import Settings, child_environment

LOOK_SECONDS = 0.2


class WorkerActor:
    """A worker that may run anywhere."""

    def __init__(self, name: str, line: bytes) -> None:
        self._name = name
        self._made_of = groups.mark_of(line)
        self._seat = Seat(Settings.from_json(line))

    def look(self) -> Member:
        """Return how it is."""
        return Member(
            name=self._name,
            made_of=self._made_of,
            is_ready=self._seat.is_running,
            is_over=self._seat.is_over,
        )

    def configure(self, line: bytes) -> None:
        """Go on with other settings: the next worker starts, the one before drains."""
        self._seat.configure(Settings.from_json(line))
        self._made_of = groups.mark_of(line)

    def stop(self) -> None:
        """Drain; `look` says when it is over."""
        self._seat.stop()


class EngineActor:
    """A replica of a pool, restarted on its node when it ends; where it reads pictures as files, with a worker beside it."""

    def __init__(self, name: str, line: bytes, pool: str, address: str) -> None:
        self._name = name
        self._made_of = groups.mark_of(line)
        self._settings = Settings.from_json(line)
        self._pool = pool
        self._is_beside = groups.is_beside(self._settings, pool)
        self._host = "127.0.0.1" if self._is_beside else address
        self._url = self._error = ""
        self._is_ready = False
        self._seat: Seat | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=anyio.run, args=(self._run,), daemon=True)
        self._thread.start()

    def look(self) -> Member:
        """Return how it is."""
        return Member(
            name=self._name,
            made_of=self._made_of,
            is_ready=self._is_ready,
            is_over=self._stopping.is_set() and not self._thread.is_alive(),
            url=self._url,
            error=self._error,
        )

    def stop(self) -> None:
        """Let the worker beside it drain, then end the engine; `look` says when it is over."""
        self._stopping.set()

    async def _run(self) -> None:
        spec = msgspec.structs.replace(self._settings.engines[self._pool], replicas=1)
        place = Place(
            folder=self._settings.data_dir / "engines",
            environ=child_environment({}),
            media_dir=groups.media_dir(self._settings),
            host=self._host,
        )
        try:
            async with launch(spec, place, clock=time.monotonic) as engine:
                self._url = engine.urls[0]
                if self._is_beside:
                    self._seat = Seat(groups.beside(self._settings, self._pool, engine.urls))
                async with anyio.create_task_group() as group:
                    group.start_soon(self._learn, engine.wait_until_ready)
                    await self._until_stopped()
                    group.cancel_scope.cancel()
        except SettingsError as error:
            self._error = str(error)

    async def _learn(self, wait_until_ready: Callable[[], object]) -> None:
        """Know when it is ready, and why it is not; one that failed often may still come up."""
        while not self._is_ready:
            try:
                await wait_until_ready()  # type: ignore[misc]  # a coroutine function
            except SettingsError as error:
                self._error = str(error)
                await anyio.sleep(1.0)
            else:
                self._is_ready, self._error = True, ""

    async def _until_stopped(self) -> None:
        while not self._stopping.is_set():  # noqa: ASYNC110  # threads
            await anyio.sleep(LOOK_SECONDS)
        if self._seat is not None:
            self._seat.stop()
            while not self._seat.is_over:  # noqa: ASYNC110  # threads
                await anyio.sleep(LOOK_SECONDS)
