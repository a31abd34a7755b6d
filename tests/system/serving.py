"""``pronk serve`` as a process of a test's own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a server on a free port with its data below `folder`; give the process and its URL."""
    command = [sys.executable, "-m", "pronk", "serve", "--port", "0", "--data-dir", str(folder / "data")]
    log = folder / f"serve-{time.monotonic_ns()}.log"
    with log.open("wb") as sink, subprocess.Popen([*command, *arguments], stderr=sink, cwd=folder) as process:
        try:
            yield process, url_in(log, process)
        finally:
            process.terminate()
            process.wait(30)


def url_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Return the URL that a server's log of JSON lines tells; its end before that fails the test with the log."""
    while process.poll() is None:
        for line in log.read_text().splitlines():
            if '"event":"listening"' in line:
                return str(msgspec.json.decode(line)["url"])
        time.sleep(0.02)
    raise AssertionError(log.read_text())
