"""The steward on a fleet that does what it is told: groups come up, grow, move, change and end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pronk.cluster import groups
from pronk.cluster.plan import Member
from pronk.cluster.steward import Steward
from pronk.domain.engine import EngineSpec
from pronk.settings import Settings

pytestmark = pytest.mark.anyio

FAR = EngineSpec(name="far", launch="serve --port {port}", replicas=2, max_replicas=3, gpus=2)
NEAR = EngineSpec(name="near", launch="vllm", model="m", gpus=1)
OUTSIDE = EngineSpec(name="outside", urls=("http://gpu-1:8000/v1",))


class FakeFleet:
    """Actors that are there and ready as soon as they are started, and gone as soon as they are stopped."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.lines: dict[str, bytes] = {}
        self.told: list[tuple[str, str]] = []
        self.resources: dict[str, tuple[float, int]] = {}
        self.ports = iter(range(9000, 9999))

    async def look(self) -> dict[str, Member]:
        return dict(self.members)

    async def start_worker(self, name: str, line: bytes, *, cpus: float) -> None:
        self._add(name, line, "", (cpus, 0))

    async def start_engine(self, name: str, line: bytes, pool: str, *, cpus: float, gpus: int) -> None:
        assert name.startswith(f"engine/{pool}/")
        self._add(name, line, f"http://node:{next(self.ports)}/v1", (cpus, gpus))

    async def configure(self, name: str, line: bytes) -> None:
        self.told.append(("configure", name))
        self.lines[name] = line
        self.members[name] = msgspec.structs.replace(self.members[name], made_of=groups.mark_of(line))

    async def stop(self, name: str) -> None:
        self.told.append(("stop", name))
        self.members[name] = msgspec.structs.replace(self.members[name], is_over=True, is_ready=False)

    async def remove(self, name: str) -> None:
        del self.members[name]

    def _add(self, name: str, line: bytes, url: str, resources: tuple[float, int]) -> None:
        self.told.append(("start", name))
        self.lines[name], self.resources[name] = line, resources
        self.members[name] = Member(name=name, made_of=groups.mark_of(line), is_ready=True, url=url)

    def settings_of(self, name: str) -> Settings:
        return Settings.from_json(self.lines[name])


class Scene:
    """A steward with its fleet, a backlog and a clock that the test sets."""

    def __init__(self, *engines: EngineSpec, fleet: FakeFleet | None = None, **more: Any) -> None:
        self.fleet = fleet or FakeFleet()
        self.backlog: dict[str, int] = {}
        self.now = 0.0
        plain = Settings(
            data_dir=Path("/data"), on_cluster=True, cluster_worker_shards=10, cluster_max_workers=4
        )
        self.settings = msgspec.structs.replace(plain, engines={spec.name: spec for spec in engines}, **more)
        self.steward = Steward(self.settings, self.fleet, self._ask, lambda: self.now)

    async def rounds(self, count: int) -> list[tuple[str, str]]:
        """Let it look so often; return what it told the fleet."""
        before = len(self.fleet.told)
        for _ in range(count):
            await self.steward.run_once()
        return self.fleet.told[before:]

    async def _ask(self) -> Mapping[str, int]:
        return self.backlog


async def test_engines_and_workers_come_up_and_workers_learn_the_engines() -> None:
    scene = Scene(FAR, OUTSIDE)
    await scene.rounds(4)
    assert sorted(scene.fleet.members) == ["engine/far/0", "engine/far/1", "worker/0"]
    assert scene.fleet.resources["engine/far/0"] == (1.0, 2)
    engines = scene.fleet.settings_of("worker/0").engines
    assert engines["far"].urls == ("http://node:9000/v1", "http://node:9001/v1")
    assert engines["far"].launch is None
    assert engines["outside"] == OUTSIDE
    assert await scene.rounds(3) == []


async def test_groups_grow_with_their_own_backlog_and_shrink_when_it_was_calm() -> None:
    scene = Scene(FAR, OUTSIDE, cluster_replica_shards=50)
    await scene.rounds(4)
    scene.backlog = {"outside": 35, "far": 0}
    assert await scene.rounds(1) == [("start", f"worker/{number}") for number in (1, 2, 3)]
    scene.backlog = {"far": 120}
    assert ("start", "engine/far/2") in await scene.rounds(1)
    scene.backlog, scene.now = {}, scene.settings.cluster_calm_seconds - 1
    assert [deed for deed in await scene.rounds(9) if deed[0] == "stop"] == []
    scene.now += 2 * scene.settings.cluster_calm_seconds
    await scene.rounds(1)
    scene.now += scene.settings.cluster_calm_seconds
    await scene.rounds(9)
    assert sorted(scene.fleet.members) == ["engine/far/0", "engine/far/1", "worker/0"]


async def test_a_replica_that_came_up_elsewhere_is_told_to_one_worker_after_the_other() -> None:
    scene = Scene(FAR, cluster_min_workers=2)
    await scene.rounds(5)
    fleet = scene.fleet
    lost = fleet.members["engine/far/1"]
    fleet.members["engine/far/1"] = Member(name="engine/far/1")
    assert await scene.rounds(3) == [], "while it is on its way nothing is changed for nothing"
    fleet.members["engine/far/1"] = msgspec.structs.replace(lost, url="http://other:1/v1")
    assert await scene.rounds(1) == [("configure", "worker/0")]
    assert await scene.rounds(3) == [("configure", "worker/1")]
    assert "http://other:1/v1" in fleet.settings_of("worker/1").engines["far"].urls


async def test_a_change_of_settings_replaces_what_it_concerns_one_by_one() -> None:
    fleet = Scene(FAR, OUTSIDE).fleet
    await Scene(FAR, OUTSIDE, fleet=fleet).rounds(5)
    more_time = Scene(FAR, OUTSIDE, fleet=fleet, lease_seconds=60.0)
    assert await more_time.rounds(5) == [("configure", "worker/0")]
    other = msgspec.structs.replace(FAR, launch="serve --fast --port {port}")
    changed = Scene(other, OUTSIDE, fleet=fleet, lease_seconds=60.0)
    deeds = [deed for deed in await changed.rounds(9) if deed[1].startswith("engine")]
    assert deeds == [(word, f"engine/far/{number}") for number in (0, 1) for word in ("stop", "start")]
    assert await changed.rounds(3) == []


async def test_limits_and_the_port_of_the_server_concern_nobody() -> None:
    fleet = FakeFleet()
    await Scene(FAR, NEAR, fleet=fleet).rounds(5)
    changed = Scene(FAR, NEAR, fleet=fleet, port=9, host="0.0.0.0", cluster_calm_seconds=1.0)  # noqa: S104
    assert await changed.rounds(5) == []


async def test_engines_that_read_pictures_as_files_have_their_workers_beside_them() -> None:
    scene = Scene(NEAR)
    scene.backlog = {"near": 10_000}
    await scene.rounds(4)
    assert groups.is_beside(scene.settings, "near")
    assert sorted(scene.fleet.members) == ["engine/near/0", "worker/0"]
    assert scene.fleet.settings_of("worker/0").engines == {}, (
        "it does whole-batch work, and serves no engine of another node"
    )
    beside = groups.beside(scene.settings, "near", ["http://127.0.0.1:1/v1"])
    assert beside.engines["near"].reads_files
    assert (beside.engines["near"].kind, beside.workers, beside.on_cluster) == ("vllm", 1, False)
    without = msgspec.structs.replace(scene.settings, cache_disk_bytes=0)
    assert not groups.is_beside(without, "near")


async def test_closing_drains_everything() -> None:
    scene = Scene(FAR, NEAR)
    await scene.rounds(4)
    scene.steward.is_closing = True
    await scene.rounds(2)
    assert scene.fleet.members == {}
    assert scene.steward.report.wanted == {}


async def test_a_new_steward_goes_on_with_what_is_there() -> None:
    fleet = FakeFleet()
    await Scene(FAR, NEAR, fleet=fleet).rounds(5)
    assert await Scene(FAR, NEAR, fleet=fleet).rounds(5) == []
