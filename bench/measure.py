"""What processes cost, read from /proc: seconds of CPU, peak memory, children; and what the machine was doing meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_MIB = 1024 * 1024
_SAMPLE_SECONDS = 0.05


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process, threads that have ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def resident_mib(pid: int) -> float:
    """Return the memory that a process holds now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def children(pid: int) -> list[int]:
    """Return the processes that a process started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def load() -> float:
    """Return the mean number of processes that wanted to run in the last minute."""
    return os.getloadavg()[0]


class Peak:
    """The most memory that a process held while it was watched, in MiB."""

    def __init__(self, pid: int) -> None:
        self.mib = resident_mib(pid)
        self._pid = pid
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            try:
                self.mib = max(self.mib, resident_mib(self._pid))
            except OSError:
                return

    def end(self) -> None:
        self._ended.set()


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Watch a process during the block."""
    peak = Peak(pid)
    thread = threading.Thread(target=peak.run)
    thread.start()
    try:
        yield peak
    finally:
        peak.end()
        thread.join()
