"""Who may do long work now."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import TaskGroup

from pronk.api.places import Places
from pronk.domain.errors import RateLimitError
from pronk.domain.ids import ProjectId

pytestmark = pytest.mark.anyio


class Stage:
    """Starts work that goes on until it is told to end, and remembers who runs."""

    def __init__(self, places: Places, group: TaskGroup) -> None:
        self.running: list[str] = []
        self.order: list[str] = []
        self._places = places
        self._group = group
        self._ends: dict[str, anyio.CancelScope] = {}

    async def start(self, *names: str) -> None:
        """Start work by name; the first letter is its project."""
        for name in names:
            self._ends[name] = anyio.CancelScope()
            self._group.start_soon(self._work, name)
            await anyio.wait_all_tasks_blocked()

    async def end(self, name: str) -> None:
        self._ends[name].cancel()
        await anyio.wait_all_tasks_blocked()

    async def _work(self, name: str) -> None:
        with self._ends[name]:
            async with self._places.hold(ProjectId(name[0])):
                self.order.append(name)
                self.running.append(name)
                try:
                    await anyio.sleep_forever()
                finally:
                    self.running.remove(name)


async def test_one_of_a_project_and_a_few_of_all_in_order() -> None:
    async with anyio.create_task_group() as group:
        stage = Stage(Places(2, 8), group)
        await stage.start("a1", "a2", "a3", "b1", "c1", "b2")
        assert stage.running == ["a1", "b1"]
        await stage.end("a1")
        assert stage.running == ["b1", "a2"]
        await stage.end("b1")
        assert stage.running == ["a2", "c1"]
        await stage.end("a3")
        await stage.end("a2")
        await stage.end("c1")
        assert stage.order == ["a1", "b1", "a2", "c1", "b2"]
        assert stage.running == ["b2"]
        await stage.end("b2")
        await stage.start("a4")
        assert stage.running == ["a4"]
        group.cancel_scope.cancel()


async def test_too_many_that_wait_are_refused_in_their_project_only() -> None:
    async with anyio.create_task_group() as group:
        places = Places(1, 2)
        stage = Stage(places, group)
        await stage.start("a1", "a2", "a3", "b1", "b2")
        with pytest.raises(RateLimitError, match="2 checks of the project wait"):
            async with places.hold(ProjectId("a")):
                pass
        assert stage.running == ["a1"]
        group.cancel_scope.cancel()


async def test_who_goes_away_as_its_turn_comes_passes_it_on() -> None:
    async with anyio.create_task_group() as group:
        stage = Stage(Places(1, 8), group)
        await stage.start("a1", "b1", "c1")
        stage._ends["b1"].cancel()
        await stage.end("a1")
        assert stage.running == ["c1"]
        group.cancel_scope.cancel()
