"""The product as a user starts it: ``pronk serve`` with one worker on SQLite and the local disk, driven over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from bench.measure import children, cpu_seconds, watched

from pronk.cli.client import Client
from pronk.settings import ClientSettings

_LOOK_SECONDS = 0.02
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


@dataclass
class Outcome:
    """What became of a batch. Times are seconds on one clock; `cpu` is of the worker from creation to the end."""

    batch: dict[str, Any]
    began: float
    reached: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0
    cpu_at: dict[str, float] = field(default_factory=dict)
    peak_mib: float = 0.0

    @property
    def seconds(self) -> float:
        """From the request that created it to the first look that saw it ended."""
        return max(self.reached.values()) - self.began

    def between(self, one: str, other: str) -> float:
        """Seconds between the first sights of two statuses; one that was never seen took no time."""
        seen = list(self.reached)
        begin = self.reached.get(one, self.reached[seen[-1]])
        return max(0.0, self.reached[other] - begin)


class Product:
    """A running server."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.client = Client(ClientSettings(url=url))
        self.url = url

    @property
    def worker(self) -> int:
        """The process number of the first worker."""
        return self.wait_for_workers(1)[0]

    def wait_for_workers(self, count: int) -> list[int]:
        """Return the process numbers of the workers once there are so many."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if len(found := self.workers) >= count:
                return found
            time.sleep(_LOOK_SECONDS)
        raise RuntimeError(f"the server has no {count} workers")

    @property
    def workers(self) -> list[int]:
        """The process numbers of the workers that run now."""
        return [
            child
            for child in children(self.process.pid)
            if b"worker" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]

    def upload(self, file: Path) -> str:
        """Upload a file and return its id."""
        return str(self.client.upload(file, "batch")["id"])

    def create(self, file_id: str) -> dict[str, Any]:
        """Create a batch of an uploaded file."""
        body = {
            "input_file_id": file_id,
            "endpoint": "/v1/chat/completions",
            "completion_window": "unlimited",
        }
        return self.client.post("/v1/batches", body)

    def warm(self, file: Path) -> None:
        """Run a small batch, so that nothing of a process's start is counted."""
        self.run(self.upload(file))

    def run(self, file_id: str) -> Outcome:
        """Run a batch to its end and measure the worker meanwhile."""
        worker = self.worker
        cpu = cpu_seconds(worker)
        began = time.monotonic()
        outcome = Outcome(self.create(file_id), began)
        with watched(worker) as peak:
            while outcome.batch["status"] not in _ENDED:
                time.sleep(_LOOK_SECONDS)
                outcome.batch = self.client.get(f"/v1/batches/{outcome.batch['id']}")
                if outcome.batch["status"] not in outcome.reached:
                    outcome.reached[outcome.batch["status"]] = time.monotonic()
                    outcome.cpu_at[outcome.batch["status"]] = cpu_seconds(worker) - cpu
        outcome.cpu = cpu_seconds(worker) - cpu
        outcome.peak_mib = peak.mib
        self._insist_on_success(outcome.batch)
        return outcome

    def drain(self, file_ids: Sequence[str]) -> tuple[float, float]:
        """Create a batch of each file, all at once, and wait for all; return the seconds and the workers' seconds of CPU."""
        workers = self.workers
        cpu, began = sum(map(cpu_seconds, workers)), time.monotonic()
        waiting = [self.create(file_id)["id"] for file_id in file_ids]
        while waiting:
            time.sleep(_LOOK_SECONDS)
            batch = self.client.get(f"/v1/batches/{waiting[-1]}")
            if batch["status"] in _ENDED:
                self._insist_on_success(batch)
                waiting.pop()
        return time.monotonic() - began, sum(map(cpu_seconds, workers)) - cpu

    def _insist_on_success(self, batch: Mapping[str, Any]) -> None:
        counts = batch["request_counts"]
        if batch["status"] != "completed" or counts["completed"] != counts["total"]:
            errors = BytesIO()
            if batch["error_file_id"]:
                self.client.download(batch["error_file_id"], errors)
            raise RuntimeError(f"the batch did not go well: {json.dumps(batch)} {errors.getvalue()[:600]!r}")

    def kill(self) -> None:
        """End server and workers at once, as a power cut would."""
        for pid in [*children(self.process.pid), self.process.pid]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(20)


@contextmanager
def product(
    folder: Path,
    engine: str,
    *,
    in_flight: int = 64,
    reads_files: bool = False,
    environment: Mapping[str, str] | None = None,
    **more: str,
) -> Iterator[Product]:
    """Run ``pronk serve`` until the block ends; `more` are flags such as ``cache_disk_bytes="0"``.

    `reads_files` says that the engine opens pictures itself, so that paths go out instead of bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "pronk.toml"
    settings = [f'urls = ["{engine}"]', f"max_in_flight = {in_flight}"]
    settings += ["reads_files = true"] if reads_files else []
    config.write_text("\n".join(["[engines.default]", *settings, ""]))
    command = [sys.executable, "-m", "pronk", "serve", "--config", str(config), "--port", "0"]
    command += ["--data-dir", str(folder / "data"), "--log-format", "json"]
    flags = {"workers": "1", **more}
    command += [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    log = folder / f"serve-{time.monotonic_ns()}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, stdout=sink, stderr=sink, env={**os.environ, **(environment or {})}
        )
        try:
            running = Product(process, _wait_for_url(log, process))
            running.wait_for_workers(int(flags["workers"]))
            yield running
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)


def _wait_for_url(log: Path, process: subprocess.Popen[bytes]) -> str:
    while process.poll() is None:
        for line in log.read_text().splitlines():
            if '"listening"' in line:
                return str(json.loads(line)["url"])
        time.sleep(_LOOK_SECONDS)
    raise RuntimeError(f"pronk serve ended: {log.read_text()[-2000:]}")
