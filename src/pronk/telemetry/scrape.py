"""The answer to a scrape: what this process measured and what its workers did, as one.

Workers write their metrics into files of one folder, because the library does so where the environment names a folder
before it is imported; so they need no port of their own, and what a dead one counted still counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from operator import add
from pathlib import Path
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from pronk.telemetry.metrics import OUTAGE, REGISTRY

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_COMBINE: Final = {"livemin": min, "livemax": max}


class Folder:
    """Where the workers of one server write their metrics."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make the folder, or empty it of what an earlier server's workers wrote."""
        self.path.mkdir(parents=True, exist_ok=True)
        for file in self.path.glob("*.db"):
            file.unlink(missing_ok=True)

    def bury(self, pid: int) -> None:
        """Forget what a process that has ended says of the present; what it counted stays."""
        mark_process_dead(pid, str(self.path))  # type: ignore[no-untyped-call]

    def reserve(self, pid: int) -> None:
        """Take the disk's room for a process's files now: on a full disk a write to a gap in a mapped file kills it."""
        if not hasattr(os, "posix_fallocate"):
            return
        for file in self.path.glob(f"*_{pid}.db"):
            with file.open("r+b") as opened:
                os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)

    def outages(self) -> frozenset[str]:
        """Return the parts that some worker waits for now."""
        found = (metric for metric in self.read("gauge_livemax_*.db") if metric.name == OUTAGE._name)  # noqa: SLF001
        return frozenset(
            sample.labels["part"] for metric in found for sample in metric.samples if sample.value
        )

    def read(self, pattern: str = "*.db") -> Iterable[Metric]:
        """Return the metrics of all files together. A file that a worker is just making is empty: it counts from the next time."""
        files = [str(file) for file in self.path.glob(pattern) if _has_bytes(file)]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


def _has_bytes(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False


def render(folder: Folder | None = None) -> bytes:
    """Return all metrics in Prometheus' text form; with `folder`, those of the workers added."""
    if folder is None:
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    together.register(_Together(folder))
    return generate_latest(together)


class _Together(Collector):
    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        theirs = {metric.name: metric for metric in self._folder.read()}
        for metric in REGISTRY.collect():
            yield _joined(metric, theirs[metric.name]) if metric.name in theirs else metric


def _joined(own: Metric, theirs: Metric) -> Metric:
    combine = _COMBINE.get(getattr(theirs, "_multiprocess_mode", ""), add)
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for sample in (*own.samples, *theirs.samples):
        key = (sample.name, tuple(sorted(sample.labels.items())))
        values[key] = combine(values[key], sample.value) if key in values else sample.value
    joined = Metric(own.name, own.documentation, own.type)
    for (name, labels), value in values.items():
        joined.add_sample(name, dict(labels), value)
    return joined
