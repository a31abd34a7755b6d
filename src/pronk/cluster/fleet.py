"""The actors of a Ray cluster, by name: the only place that knows Ray.

All are named and detached: they outlive who started them. Ray itself restarts them, elsewhere when their node is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import anyio.to_thread
import msgspec

from pronk.cluster.actors import EngineActor, WorkerActor
from pronk.cluster.plan import Member
from pronk.domain.errors import OutageError, SettingsError

NAMESPACE = "pronk"
STEWARD = "steward"
ANSWER_SECONDS = 2.0
"""An actor that has not answered by then has no place, or is on its way to another one."""


def connect(address: str) -> Any:
    """Join a running cluster; return Ray. Raises SettingsError when Ray is not installed or there is no cluster."""
    try:
        import ray  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise SettingsError(f"a cluster needs Ray: pip install 'pronk[ray]' ({error})") from error
    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            configure_logging=False,
            ignore_reinit_error=True,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise SettingsError(
            f"no Ray cluster answers at {address!r}: start one with `ray start --head`, or name its address with --address "
            f"({str(error).splitlines()[0]})"
        ) from error
    return ray


class RayFleet:
    """The `steward.Fleet` of a cluster that this process has joined."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    async def look(self) -> dict[str, Member]:
        return await anyio.to_thread.run_sync(self._look)

    async def start_worker(self, name: str, line: bytes, *, cpus: float) -> None:
        await self._start(_PlacedWorker, name, (name, line), num_cpus=cpus)

    async def start_engine(self, name: str, line: bytes, pool: str, *, cpus: float, gpus: int) -> None:
        await self._start(_PlacedEngine, name, (name, line, pool), num_cpus=cpus, num_gpus=gpus)

    async def configure(self, name: str, line: bytes) -> None:
        await self._tell(name, "configure", line)

    async def stop(self, name: str) -> None:
        await self._tell(name, "stop")

    async def remove(self, name: str) -> None:
        await anyio.to_thread.run_sync(self._remove, name)

    async def _start(self, kind: type, name: str, arguments: Sequence[object], **options: object) -> None:
        await anyio.to_thread.run_sync(partial(start, self._ray, kind, name, arguments, **options))

    async def _tell(self, name: str, word: str, *arguments: object) -> None:
        """Not waited for: what it did is seen at the next look."""

        def tell() -> None:
            actor = find(self._ray, name)
            if actor is not None:
                getattr(actor, word).remote(*arguments)

        await anyio.to_thread.run_sync(tell)

    def _look(self) -> dict[str, Member]:
        names = [name for name in self._ray.util.list_named_actors() if name != STEWARD]
        asked = {name: actor.seen.remote() for name in names if (actor := find(self._ray, name)) is not None}
        if not asked:
            return {}
        ready, _ = self._ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_SECONDS)
        answered = set(ready)
        return {
            name: self._answer(name, asked[name]) if asked[name] in answered else Member(name=name)
            for name in asked
        }

    def _answer(self, name: str, answer: Any) -> Member:
        try:
            fields: dict[str, Any] = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            return Member(name=name, error=str(error).strip().splitlines()[0])
        return Member(**fields)

    def _remove(self, name: str) -> None:
        actor = find(self._ray, name)
        if actor is not None:
            self._ray.kill(actor, no_restart=True)


def start(ray: Any, kind: type, name: str, arguments: Sequence[object], **options: object) -> Any:
    """Have an actor placed wherever there is room, as evenly as can be, and again whenever it or its node dies."""
    made = ray.remote(kind).options(
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        max_restarts=-1,
        max_concurrency=8,
        scheduling_strategy="SPREAD",
        get_if_exists=True,
        **options,
    )
    return made.remote(*arguments)


def find(ray: Any, name: str) -> Any | None:
    """Return an actor by its name, None when there is none."""
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return None


def steward(ray: Any) -> Any:
    """Return the steward's actor. Raises OutageError when nothing of ours runs on the cluster."""
    found = find(ray, STEWARD)
    if found is None:
        raise OutageError("nothing of pronk runs on this Ray cluster; start it with: pronk cluster up")
    return found


class _PlacedWorker(WorkerActor):
    def seen(self) -> dict[str, Any]:
        return _seen(self.look())


class _PlacedEngine(EngineActor):
    def __init__(self, name: str, line: bytes, pool: str) -> None:
        super().__init__(name, line, pool, node_address())

    def seen(self) -> dict[str, Any]:
        return _seen(self.look())


def _seen(member: Member) -> dict[str, Any]:
    """Return an answer as plain values, with the node that it comes from."""
    return {**msgspec.structs.asdict(member), "node": node_address(), "node_id": node_id()}


def node_address() -> str:
    """Return the address of the node that this actor runs on."""
    import ray  # noqa: PLC0415  # an extra

    address: str = ray.util.get_node_ip_address()
    return address


def node_id() -> str:
    """Return what Ray calls this actor's node."""
    import ray  # noqa: PLC0415  # an extra

    found: str = ray.get_runtime_context().get_node_id()
    return found
