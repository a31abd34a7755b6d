"""The steward: sees what runs on the cluster and what waits, and does what `plan` says, again and again.

It remembers nothing that matters: one that is started anew finds the actors by their names and goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
import structlog

from pronk.cluster import groups
from pronk.cluster.plan import Calm, Limits, Member, is_of, moves
from pronk.settings import Settings

log = structlog.get_logger()


class Fleet(Protocol):
    """The actors of one cluster, by name."""

    async def look(self) -> dict[str, Member]:
        """Return every actor there is; those without an answer have no place yet, or lost it."""

    async def start_worker(self, name: str, line: bytes, *, cpus: float) -> None:
        """Have a worker placed."""

    async def start_engine(self, name: str, line: bytes, pool: str, *, cpus: float, gpus: int) -> None:
        """Have a replica placed."""

    async def configure(self, name: str, line: bytes) -> None:
        """Tell a worker its new settings."""

    async def stop(self, name: str) -> None:
        """Tell an actor to drain."""

    async def remove(self, name: str) -> None:
        """End an actor for good."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the steward saw last; `wanted` and `backlog` (shards) are by group and by pool."""

    members: tuple[Member, ...] = ()
    wanted: dict[str, int] = {}
    backlog: dict[str, int] = {}


class Steward:
    """Keeps the groups of one cluster. `backlog` answers how many shards wait or run in each pool."""

    def __init__(
        self,
        settings: Settings,
        fleet: Fleet,
        backlog: Callable[[], Awaitable[Mapping[str, int]]],
        clock: Callable[[], float],
    ) -> None:
        self.report = Report()
        self.is_closing = False
        self._settings = settings
        self._fleet = fleet
        self._backlog = backlog
        self._clock = clock
        self._calm: dict[str, Calm] = {}
        self._urls: dict[str, str] = {}
        self._leaving: set[str] = set()

    async def run_once(self) -> None:
        """Look once, and do what is to be done now."""
        backlog = dict(await self._backlog())
        seen = await self._fleet.look()
        self._leaving &= seen.keys()
        for name, member in seen.items():
            if member.is_over:
                await self._fleet.remove(name)
        self._learn_urls(seen)
        wanted = self._wanted(backlog)
        for group in sorted({*wanted, *(name.rpartition("/")[0] for name in seen)}):
            await self._keep(group, seen, wanted.get(group, 0))
        self.report = Report(
            members=tuple(seen[name] for name in sorted(seen)), wanted=wanted, backlog=backlog
        )

    def _wanted(self, backlog: Mapping[str, int]) -> dict[str, int]:
        if self.is_closing:
            return {}
        pools = groups.launched_pools(self._settings)
        wanted = {
            groups.engine_group(pool): self._calmly(
                groups.engine_group(pool), groups.engine_limits(self._settings, pool), backlog.get(pool, 0)
            )
            for pool in pools
        }
        apart = sum(
            shards
            for pool, shards in backlog.items()
            if pool not in pools or not groups.is_beside(self._settings, pool)
        )
        limits = groups.worker_limits(self._settings)
        return {**wanted, groups.WORKERS: self._calmly(groups.WORKERS, limits, apart)}

    def _calmly(self, group: str, limits: Limits, backlog: int) -> int:
        calm = self._calm.setdefault(group, Calm(self._settings.cluster_calm_seconds))
        return calm.of(limits.wanted(backlog), self._clock())

    def _learn_urls(self, seen: Mapping[str, Member]) -> None:
        """A replica that does not answer keeps its URL until it has another, so that no worker is changed for nothing."""
        self._urls = {name: url for name, url in self._urls.items() if name in seen}
        self._urls |= {name: member.url for name, member in seen.items() if member.url}

    async def _keep(self, group: str, seen: Mapping[str, Member], wanted: int) -> None:
        line = self._line_of(group)
        todo = moves(group, seen, wanted, groups.mark_of(line))
        for name in todo.start:
            log.info("cluster_start", actor=name)
            await self._start(group, name, line)
        for name in todo.stop:
            await self._stop(seen[name])
        if todo.replace is not None:
            await self._replace(group, seen[todo.replace], line)

    def _line_of(self, group: str) -> bytes:
        pool = group.removeprefix("engine/")
        if group == groups.WORKERS or pool not in self._settings.engines:
            return groups.of_worker(self._settings, self._urls_by_pool()).to_json()
        return groups.of_replica(self._settings, pool).to_json()

    def _urls_by_pool(self) -> dict[str, list[str]]:
        return {
            pool: sorted(url for name, url in self._urls.items() if is_of(name, groups.engine_group(pool)))
            for pool in groups.launched_pools(self._settings)
        }

    async def _start(self, group: str, name: str, line: bytes) -> None:
        cpus = self._settings.cluster_worker_cpus
        if group == groups.WORKERS:
            await self._fleet.start_worker(name, line, cpus=cpus)
            return
        pool = group.removeprefix("engine/")
        gpus = self._settings.engines[pool].gpus
        await self._fleet.start_engine(name, line, pool, cpus=cpus, gpus=gpus)

    async def _stop(self, member: Member) -> None:
        """Tell it once. One without a place holds nothing that could be lost."""
        if member.name in self._leaving:
            return
        log.info("cluster_stop", actor=member.name)
        self._leaving.add(member.name)
        await (self._fleet.stop(member.name) if member.is_placed else self._fleet.remove(member.name))

    async def _replace(self, group: str, member: Member, line: bytes) -> None:
        """A worker takes other settings as it is; a replica ends, and once it is gone another round starts it anew."""
        if group == groups.WORKERS:
            log.info("cluster_configure", actor=member.name)
            await self._fleet.configure(member.name, line)
        else:
            await self._stop(member)
