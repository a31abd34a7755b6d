"""How many long pieces of work a process does at once for its callers: one of a project, a few of all, in order of arrival."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio

from pronk.domain.errors import RateLimitError
from pronk.domain.ids import ProjectId

_RETRY_AFTER: Final = 10.0


class Places:
    """`most` at once. Of one project only one runs and `most_waiting` wait, so that nobody keeps the others out."""

    def __init__(self, most: int, most_waiting: int) -> None:
        self._most = most
        self._most_waiting = most_waiting
        self._running: set[ProjectId] = set()
        self._queue: list[tuple[ProjectId, anyio.Event]] = []

    @asynccontextmanager
    async def hold(self, project: ProjectId) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises RateLimitError when too many of the project wait already."""
        await self._enter(project)
        try:
            yield
        finally:
            self._leave(project)

    async def _enter(self, project: ProjectId) -> None:
        if sum(waiting == project for waiting, _ in self._queue) >= self._most_waiting:
            raise RateLimitError(
                f"{self._most_waiting} checks of the project wait already; try again when one has ended.",
                retry_after=_RETRY_AFTER,
                code="too_many_checks",
            )
        place = (project, anyio.Event())
        self._queue.append(place)
        self._admit()
        try:
            await place[1].wait()
        except BaseException:
            if place[1].is_set():
                self._leave(project)
            else:
                self._queue.remove(place)
            raise

    def _leave(self, project: ProjectId) -> None:
        self._running.remove(project)
        self._admit()

    def _admit(self) -> None:
        """Let in who came first among those whose project has none running."""
        for place in tuple(self._queue):
            if len(self._running) >= self._most:
                return
            if place[0] not in self._running:
                self._running.add(place[0])
                self._queue.remove(place)
                place[1].set()
