"""Engines that the server starts itself."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import msgspec
import structlog

from pronk.domain.engine import EngineSpec
from pronk.domain.errors import SettingsError
from pronk.engines.launch import Launched, Place, launch
from pronk.settings import Settings, child_environment

log = structlog.get_logger()


@asynccontextmanager
async def launched(settings: Settings) -> AsyncIterator[Settings]:
    """Start what `settings` say is to be launched; give the settings with a URL for every engine.

    Does not wait until the engines answer: pools notice by themselves. An engine that never comes up ends the block with a
    SettingsError that says why.
    """
    if settings.on_cluster:
        yield _elsewhere(settings)
        return
    failure: SettingsError | None = None
    async with AsyncExitStack() as stack:
        started = {
            name: await stack.enter_async_context(_launch(settings, name))
            for name, spec in settings.engines.items()
            if spec.launch is not None
        }
        async with anyio.create_task_group() as watching:

            async def watch(engine: Launched) -> None:
                nonlocal failure
                try:
                    await engine.wait_until_ready()
                except SettingsError as error:
                    failure = error
                    watching.cancel_scope.cancel()

            for engine in started.values():
                watching.start_soon(watch, engine)
            yield _with_urls(settings, started)
            watching.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _elsewhere(settings: Settings) -> Settings:
    """Return settings that start nothing: workers and launched engines run on a cluster, whose steward knows their URLs."""
    engines = {
        name: spec if spec.launch is None else msgspec.structs.replace(spec, launch=None, urls=())
        for name, spec in settings.engines.items()
    }
    return msgspec.structs.replace(settings, engines=engines, workers=0)


@asynccontextmanager
async def _launch(settings: Settings, name: str) -> AsyncIterator[Launched]:
    spec = settings.engines[name]
    log.info("launching", engine=name, launch=spec.launch, replicas=spec.replicas)
    place = Place(
        folder=settings.data_dir / "engines",
        environ=child_environment({}),
        media_dir=settings.data_dir / "cache" / "objects" if settings.cache_disk_bytes else None,
    )
    async with launch(spec, place, clock=time.monotonic) as engine:
        yield engine


def _with_urls(settings: Settings, started: dict[str, Launched]) -> Settings:
    running = {name: _running(settings.engines[name], engine) for name, engine in started.items()}
    return msgspec.structs.replace(settings, engines={**settings.engines, **running})


def _running(spec: EngineSpec, engine: Launched) -> EngineSpec:
    """Describe a launched engine as one that runs already."""
    return msgspec.structs.replace(
        spec,
        launch=None,
        urls=engine.urls,
        kind="vllm" if spec.launch == "vllm" else spec.kind,
        reads_files=spec.reads_files or engine.reads_files,
    )
