"""``pronk cluster`` and ``pronk serve`` as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.product import _wait_for_url
from tests.cluster.nodes import Nodes


def pronk(*command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pronk", *command], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done


def status(nodes: Nodes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        pronk("cluster", "status", "--address", nodes.address, "--json").stdout
    )
    return found


def until_ready(nodes: Nodes, actors: int, *, but: frozenset[str] = frozenset()) -> dict[str, str]:
    """Wait until so many actors are ready, none of them on the nodes `but`; return where each one is."""
    while True:
        where = {row["name"]: row["node_id"] for row in status(nodes)["actors"] if row["state"] == "ready"}
        if len(where) == actors and not but & set(where.values()):
            return where
        time.sleep(0.5)


@contextmanager
def serving(folder: Path, config: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "pronk", "serve", "--config", str(config), "--port", "0"]
    log = folder / "serve.log"
    with log.open("wb") as sink, subprocess.Popen([*command, "--log-format", "json"], stderr=sink) as process:
        try:
            yield _wait_for_url(log, process)
        finally:
            process.terminate()
            process.wait(30)
