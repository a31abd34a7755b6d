"""What a process takes of its machine at some moment."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec


class Look(msgspec.Struct, frozen=True):
    """A process at some second: megabytes in memory and open descriptors."""

    second: float
    megabytes: float
    descriptors: int


def look(pid: int, since: float) -> Look:
    """Look at a process; `since` is when seconds began, on the steady clock."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return Look(
        time.monotonic() - since,
        int(resident.split()[1]) / 1024,
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
    )
