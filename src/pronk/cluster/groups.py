"""Which groups of actors settings ask for, and with which settings of their own each of them runs. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pronk.cluster.plan import Limits
from pronk.domain.engine import EngineSpec
from pronk.engines.launch import Place, is_given_media
from pronk.settings import Settings

WORKERS = "worker"


def engine_group(pool: str) -> str:
    """Return the name of a pool's group of replicas."""
    return f"engine/{pool}"


def launched_pools(settings: Settings) -> list[str]:
    """Return the pools whose replicas run on the cluster."""
    return [name for name, spec in settings.engines.items() if spec.launch is not None]


def worker_limits(settings: Settings) -> Limits:
    """Return how many workers that may run anywhere there are."""
    return Limits(settings.cluster_min_workers, settings.cluster_max_workers, settings.cluster_worker_shards)


def engine_limits(settings: Settings, pool: str) -> Limits:
    """Return how many replicas of a pool there are."""
    spec = settings.engines[pool]
    return Limits(spec.replicas, max(spec.replicas, spec.max_replicas), settings.cluster_replica_shards)


def media_dir(settings: Settings) -> Path | None:
    """Return the folder of pictures that engines of a node may read."""
    return settings.data_dir / "cache" / "objects" if settings.cache_disk_bytes else None


def is_beside(settings: Settings, pool: str) -> bool:
    """Whether replicas of a pool have workers of their own on the same node, whose pictures they read as files."""
    place = Place(folder=settings.data_dir, environ={}, media_dir=media_dir(settings))
    return is_given_media(settings.engines[pool], place)


def of_replica(settings: Settings, pool: str) -> Settings:
    """Return the settings that a replica is made of: only what changes it, so that only this replaces it."""
    spec = msgspec.structs.replace(settings.engines[pool], replicas=1, max_replicas=0)
    if is_beside(settings, pool):
        return _of_worker(settings, {pool: spec}, workers=1)
    only = Settings(
        data_dir=settings.data_dir,
        database=settings.database,
        storage=settings.storage,
        cache_disk_bytes=settings.cache_disk_bytes,
        engines={pool: spec},
        workers=1,
    )
    return only


def beside(settings: Settings, pool: str, urls: Sequence[str]) -> Settings:
    """Return the settings of the worker beside a replica: it serves this replica alone."""
    return _of_worker(settings, {pool: _running(settings.engines[pool], urls, reads_files=True)}, workers=1)


def of_worker(settings: Settings, urls: Mapping[str, Sequence[str]]) -> Settings:
    """Return the settings of a worker that may run anywhere; `urls` are those of launched replicas, by pool."""
    engines = {
        name: spec if spec.launch is None else _running(spec, urls.get(name, ()), reads_files=False)
        for name, spec in settings.engines.items()
        if spec.launch is None or not is_beside(settings, name)
    }
    return _of_worker(settings, engines, workers=max(1, settings.cluster_max_workers))


def mark_of(line: bytes) -> str:
    """Return a mark by which equal settings are known."""
    return hashlib.sha256(line).hexdigest()[:12]


def _of_worker(settings: Settings, engines: dict[str, EngineSpec], *, workers: int) -> Settings:
    """Leave out what changes nothing for a worker, so that a change of it replaces none."""
    plain = Settings()
    same = {
        name: getattr(plain, name)
        for name in (
            "host",
            "port",
            "on_cluster",
            *(each for each in plain.__struct_fields__ if each.startswith("cluster_")),
        )
    }
    return msgspec.structs.replace(settings, engines=engines, workers=workers, **same)


def _running(spec: EngineSpec, urls: Sequence[str], *, reads_files: bool) -> EngineSpec:
    return msgspec.structs.replace(
        spec,
        launch=None,
        urls=tuple(urls),
        kind="vllm" if spec.launch == "vllm" else spec.kind,
        reads_files=spec.reads_files or reads_files,
        replicas=1,
        max_replicas=0,
    )
