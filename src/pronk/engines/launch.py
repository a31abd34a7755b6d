"""Engines that pronk starts itself: one process for each replica, supervised, and gone when pronk is gone."""

from __future__ import annotations

import shlex
import socket
import string
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import structlog

from pronk.domain.engine import EngineSpec
from pronk.domain.errors import EngineError, SettingsError
from pronk.engines import guard
from pronk.engines.client import Client

_PYTHON = shlex.quote(sys.executable)
_PRESETS = {
    "vllm": "vllm serve {model} --host {host} --port {port}",
    "sglang": f"{_PYTHON} -m sglang.launch_server --model-path {{model}} --host {{host}} --port {{port}}",
    "llama-server": "llama-server --host {host} --port {port}",
    "bundled": f"{_PYTHON} -m pronk.engines.bundled --host {{host}} --port {{port}}",
}
_MEDIA_FLAGS = {"vllm": "--allowed-local-media-path", "bundled": "--allowed-local-media-path"}
_GPU_FLAGS = {"vllm": "--tensor-parallel-size", "sglang": "--tp"}
_LOG_BYTES = 50_000_000
_log = structlog.get_logger(__name__)


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds: rests between restarts, and when one counts as good; how long a stop may take."""

    first_rest: float = 1.0
    most_rest: float = 60.0
    good_after: float = 60.0
    stop: float = 20.0
    look: float = 0.25
    starts: int = 3
    """After so many exits in a row with no answer at all, `wait_until_ready` gives up."""

    def rest(self, failures: int) -> float:
        """Return the rest after so many failures in a row."""
        return min(self.most_rest, self.first_rest * 2.0 ** (failures - 1))


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where engines run: `folder` takes their logs, `media_dir` is shown to them for pictures by file, `host` is where they listen."""

    folder: Path
    environ: Mapping[str, str]
    media_dir: Path | None = None
    host: str = "127.0.0.1"


class Launched:
    """The processes of one pool. `urls` stay the same when a process is restarted; `reads_files` as in `EngineSpec`."""

    def __init__(self, replicas: tuple[_Process, ...], *, reads_files: bool) -> None:
        self._replicas = replicas
        self.reads_files = reads_files
        self.urls = tuple(replica.url for replica in replicas)

    async def wait_until_ready(self) -> None:
        """Return when every replica answers; raises SettingsError when one ends again and again instead."""
        for replica in self._replicas:
            await replica.wait_until_ready()


@asynccontextmanager
async def launch(
    spec: EngineSpec,
    place: Place,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
    patience: Patience | None = None,
) -> AsyncIterator[Launched]:
    """Run the replicas of `spec.launch` until the block ends, restarting those that exit.

    Raises SettingsError for a command that cannot be. Nothing outlives this process, even when it is killed.
    """
    patience = patience or Patience()
    place.folder.mkdir(parents=True, exist_ok=True)
    ports = free_ports(spec.replicas, place.host)
    replicas = tuple(
        _Process(
            f"{spec.name}-{number}", port, command_of(spec, port, place), place, gpus_of(spec, number, place)
        )
        for number, port in enumerate(ports)
    )
    failure: SettingsError | None = None
    async with anyio.create_task_group() as group:
        for replica in replicas:
            group.start_soon(replica.supervise, patience, clock, sleep)
        try:
            yield Launched(replicas, reads_files=is_given_media(spec, place))
        except SettingsError as error:  # as it is, not in a group
            failure = error
        finally:
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure


def command_of(spec: EngineSpec, port: int, place: Place) -> list[str]:
    """Return the command of one replica: a preset filled in, or the operator's own."""
    preset = spec.launch or ""
    media_dir = str(place.media_dir) if place.media_dir else None
    values = {"port": str(port), "host": place.host, "model": spec.model, "media_dir": media_dir}
    words = [_filled(word, values, spec) for word in shlex.split(_PRESETS.get(preset, preset))]
    if preset == "llama-server" and spec.model:
        words += ["--model" if spec.model.endswith(".gguf") else "-hf", spec.model]
    if preset == "bundled" and spec.model:
        words += ["--model", spec.model]
    if preset in _MEDIA_FLAGS and place.media_dir:
        words += [_MEDIA_FLAGS[preset], str(place.media_dir)]
    if preset in _GPU_FLAGS and spec.gpus > 1:
        words += [_GPU_FLAGS[preset], str(spec.gpus)]
    return words


def is_given_media(spec: EngineSpec, place: Place) -> bool:
    """Whether the launched engine is told of the folder with pictures, and so may read it."""
    preset = spec.launch or ""
    return place.media_dir is not None and (preset in _MEDIA_FLAGS or "{media_dir}" in preset)


def _filled(word: str, values: Mapping[str, str | None], spec: EngineSpec) -> str:
    for _, name, _, _ in string.Formatter().parse(word):
        if name is not None and name not in values:
            raise SettingsError(f"engines.{spec.name}.launch has {{{name}}}; known are {', '.join(values)}")
        if name is not None and not values[name]:
            raise SettingsError(f"engines.{spec.name}.launch needs {{{name}}}, which is not set")
    return word.format(**values)


def gpus_of(spec: EngineSpec, number: int, place: Place) -> str | None:
    """Return CUDA_VISIBLE_DEVICES for a replica: its part of the devices that this process may see."""
    if not spec.gpus:
        return None
    first, last = number * spec.gpus, (number + 1) * spec.gpus
    visible = place.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return ",".join(map(str, range(first, last)))
    devices = [device.strip() for device in visible.split(",") if device.strip()]
    if last > len(devices):
        wanted = spec.gpus * spec.replicas
        raise SettingsError(
            f"engines.{spec.name} needs {wanted} GPUs; CUDA_VISIBLE_DEVICES has {len(devices)}"
        )
    return ",".join(devices[first:last])


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Return ports of an address of this machine that nobody listens on."""
    sockets = [socket.create_server((host, 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class _Process:
    """One replica and its log."""

    def __init__(self, name: str, port: int, command: list[str], place: Place, gpus: str | None) -> None:
        self.name = name
        self.url = f"http://{place.host}:{port}/v1"
        self._command = command
        self._environ = {**place.environ, **({"CUDA_VISIBLE_DEVICES": gpus} if gpus is not None else {})}
        self._log_path = place.folder / f"{name}.log"
        self._known = anyio.Event()
        self._is_ready = False
        self._outcome = ""

    async def wait_until_ready(self) -> None:
        """Return when it answered once; raises SettingsError when it ended too often before."""
        await self._known.wait()
        if not self._is_ready:
            raise SettingsError(self._outcome)

    async def supervise(
        self, patience: Patience, clock: Callable[[], float], sleep: Callable[[float], Awaitable[object]]
    ) -> None:
        """Run it again and again until cancelled."""
        failures = 0
        while True:
            began = clock()
            status = await self._run_once(patience, sleep)
            failures = 1 if clock() - began >= patience.good_after else failures + 1
            self._outcome = f"engine {self.name} ended with status {status}; its log is {self._log_path}"
            rest = patience.rest(failures)
            _log.error(
                "engine ended", engine=self.name, status=status, log=str(self._log_path), restart_in=rest
            )
            if failures >= patience.starts:
                self._known.set()
            await sleep(rest)

    async def _run_once(self, patience: Patience, sleep: Callable[[float], Awaitable[object]]) -> int:
        process = await self._start(patience)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._look_until_ready, patience, sleep)
                status = await process.wait()
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process, patience)
        return status

    async def _start(self, patience: Patience) -> anyio.abc.Process:
        if self._log_path.exists() and self._log_path.stat().st_size > _LOG_BYTES:
            self._log_path.replace(self._log_path.with_suffix(".log.1"))
        # -I and -S: the guard needs the standard library alone
        guarded = [sys.executable, "-I", "-S", guard.__file__, str(patience.stop), *self._command]
        with self._log_path.open("ab") as log:
            return await anyio.open_process(
                guarded, stdout=log, stderr=log, env=self._environ, start_new_session=True
            )

    async def _look_until_ready(
        self, patience: Patience, sleep: Callable[[float], Awaitable[object]]
    ) -> None:
        client = Client(self.url)
        while not await _answers(client):
            await sleep(patience.look)
        client.close()
        self._is_ready = True
        self._known.set()
        _log.info("engine is ready", engine=self.name)


async def _answers(client: Client) -> bool:
    try:
        health = await client.get("/health", within=5.0)
        if health.status in {404, 405, 501}:
            health = await client.get("/v1/models", within=5.0)
    except EngineError:
        return False
    return health.status < 500


async def _stop(process: anyio.abc.Process, patience: Patience) -> None:
    """Let go of the guard's life line and wait for it."""
    if process.stdin is not None:
        await process.stdin.aclose()
    with anyio.move_on_after(patience.stop + 5.0):
        await process.wait()
    if process.returncode is None:
        process.kill()
    await process.aclose()
