"""Which machine this is, as far as process numbers mean anything, and which of its workers are dead."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import structlog

from pronk.store.store import Store

log = structlog.get_logger()


def this_host() -> str:
    """Return a name under which a process number is one process: host, boot and namespace of process numbers."""
    marks = [socket.gethostname()]
    boot = Path("/proc/sys/kernel/random/boot_id")
    if boot.exists():
        marks += [boot.read_text().strip(), str(Path("/proc/self/ns/pid").readlink())]
    return " ".join(marks)


async def free_the_dead(store: Store) -> None:
    """Hand over at once what workers of this machine held that are gone, instead of when their leases run out."""
    for worker_id, pid in await store.workers.of_host(this_host()):
        if not _is_alive(pid):
            freed = await store.shards.reclaim_of_worker(worker_id)
            log.info("freed_after_death", worker=worker_id, shards=freed)


def _is_alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[:1] == ["Z"]
