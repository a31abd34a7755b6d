"""What every case gets: a folder, sizes, and ways to run the product, the bare loop and the peers on the same work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.product import Outcome
from bench.report import PRODUCT, Row

_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Work:
    """A file, the engine that it goes to, and the variables that lead to its pictures."""

    file: Path
    engine: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """`is_full` asks for the real sizes; `ray` is a Python that has ``ray[data]``, None leaves that peer out."""

    folder: Path
    is_full: bool
    ray: Path | None
    peers: bool

    def size(self, quick: int, full: int) -> int:
        """Return the size for this run."""
        return full if self.is_full else quick

    def loop(self, case: str, work: Work) -> Row:
        """Run the bare loop."""
        return Row(case, "bare loop", self._child([sys.executable, "-m", "bench.loops"], work))

    def general_loop(self, case: str, work: Work) -> Row:
        """Run the bare loop with a general client."""
        command = [sys.executable, "-m", "bench.loops", "--general"]
        return Row(case, "bare loop, aiohttp", self._child(command, work))

    def peer(self, case: str, who: str, peer: str, work: Work) -> list[Row]:
        """Run a peer that can run here; nothing where peers are left out."""
        python = str(self.ray) if peer == "ray" else sys.executable
        if not self.peers or (peer == "ray" and self.ray is None):
            return []
        return [Row(case, who, self._child([python, "-m", "bench.peers", peer], work))]

    def _child(self, command: list[str], work: Work) -> dict[str, float]:
        output = self.folder / "peer.jsonl"
        done = subprocess.run(
            [*command, str(work.file), work.engine, f"--output={output}"],
            cwd=_ROOT,
            env={**os.environ, **work.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{command[-1]} ended with {done.returncode}: {done.stderr[-2000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
        return rates(found["requests"], found["seconds"], found["cpu"], found["peak_mib"])


def rates(requests: float, seconds: float, cpu: float, peak_mib: float) -> dict[str, float]:
    """Return the figures that all systems have."""
    return {
        "requests/s": requests / seconds,
        "CPU ms/request": cpu / requests * 1000,
        "peak MiB": peak_mib,
    }


def ours(case: str, outcome: Outcome, **more: float) -> Row:
    """Return the product's row."""
    count = outcome.batch["request_counts"]["total"]
    return Row(case, PRODUCT, {**rates(count, outcome.seconds, outcome.cpu, outcome.peak_mib), **more})
