"""Workers and engines on a Ray cluster: brought up, looked at, and taken down; and the steward that keeps them."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

import anyio
import msgspec

from pronk.app.parts import open_store
from pronk.cluster import fleet
from pronk.cluster.fleet import RayFleet
from pronk.cluster.plan import Member
from pronk.cluster.steward import Report, Steward
from pronk.domain.errors import OutageError, SettingsError
from pronk.every import every
from pronk.settings import Settings
from pronk.telemetry import configure_logs
from pronk.worker.patience import postponing

ROUND_SECONDS = 2.0
ANSWER_SECONDS = 60.0
LOOK_SECONDS = 0.5


class StewardActor:
    """The steward in an actor. Ray starts it anew, elsewhere where need be; it finds the others by their names."""

    def __init__(self, line: bytes) -> None:
        self._steward: Steward | None = None
        self._is_closing = False
        settings = Settings.from_json(line)
        configure_logs(settings.log_level, settings.log_format)
        threading.Thread(target=anyio.run, args=(self._run, settings), daemon=True).start()

    def report(self) -> dict[str, Any] | None:
        """Return what was seen last as plain values, None before the first look."""
        if self._steward is None or (not self._steward.report.wanted and not self._is_closing):
            return None
        found: dict[str, Any] = msgspec.to_builtins(self._steward.report)
        return found

    def close(self) -> None:
        """Let everything drain and end."""
        self._is_closing = True
        if self._steward is not None:
            self._steward.is_closing = True

    async def _run(self, settings: Settings) -> None:
        import ray  # noqa: PLC0415  # an extra

        async with open_store(settings) as store:
            self._steward = Steward(settings, RayFleet(ray), store.figures.backlog, time.monotonic)
            self._steward.is_closing = self._is_closing
            await every(
                ROUND_SECONDS, postponing(self._steward.run_once, doing="keeping the cluster"), name="cluster"
            )


def up(settings: Settings, address: str) -> Report:
    """Bring a cluster to these settings and return what is there; what runs on others is replaced one by one. Raises PronkError."""
    _check(settings)
    ray = fleet.connect(address)
    _check_nodes(settings, ray)
    before = fleet.find(ray, fleet.STEWARD)
    if before is not None:
        ray.kill(before, no_restart=True)
        _wait(lambda: fleet.find(ray, fleet.STEWARD) is None, "the steward of before does not end")
    fleet.start(ray, StewardActor, fleet.STEWARD, (settings.to_json(),), num_cpus=0)
    return _reported(ray)


def look(address: str) -> Report:
    """Return what runs on a cluster. Raises PronkError."""
    return _reported(fleet.connect(address))


def down(address: str, *, within: float) -> None:
    """Let everything finish what it does and end. Raises OutageError when it does not end `within` seconds."""
    ray = fleet.connect(address)
    steward = fleet.steward(ray)
    ray.get(steward.close.remote(), timeout=ANSWER_SECONDS)
    others = partial(_others, ray)
    _wait(lambda: not others(), "workers are still draining; call it again to wait on", within)
    ray.kill(steward, no_restart=True)


def _check(settings: Settings) -> None:
    if not settings.on_cluster:
        raise SettingsError(
            "these settings keep workers and engines on this machine; write on_cluster = true, for pronk serve as well"
        )


def _check_nodes(settings: Settings, ray: Any) -> None:
    """A database in a file serves one machine only."""
    machines = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    if len(machines) > 1 and settings.database.reveal().startswith("sqlite:"):
        raise SettingsError(
            f"the cluster has {len(machines)} machines and the database is a file of one; use postgresql://… with pronk[postgres]"
        )


def _reported(ray: Any) -> Report:
    steward = fleet.steward(ray)
    found: list[Any] = []

    def has_answered() -> bool:
        found[:] = [ray.get(steward.report.remote(), timeout=ANSWER_SECONDS)]
        return found[0] is not None

    try:
        _wait(has_answered, "the steward has not looked yet: is the database reachable from the cluster?")
    except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
        raise OutageError(f"the steward does not answer: {str(error).splitlines()[0]}") from error
    return msgspec.convert(found[0], Report)


def _others(ray: Any) -> list[str]:
    return [name for name in ray.util.list_named_actors() if name != fleet.STEWARD]


def _wait(holds: Any, otherwise: str, within: float = ANSWER_SECONDS) -> None:
    ends = time.monotonic() + within
    while not holds():
        if time.monotonic() > ends:
            raise OutageError(otherwise)
        time.sleep(LOOK_SECONDS)


def state_of(member: Member) -> str:
    """Return how an actor is, in a word."""
    if member.is_over:
        return "ended"
    if member.is_ready:
        return "ready"
    return "starting" if member.is_placed else "waiting for a place"
