"""The database's time, told by the machine's steady clock: a wall clock that is put forward or back loses nobody a lease.

A database on another machine is asked for its time. The file database of one machine has none of its own, so the first
process after a boot writes down what Unix time is by then, and all processes count on from there. When the wall clock goes
another way they follow it slowly, and at once only where it is days away.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

MAX_PACE = 0.25
"""How much faster or slower than the steady clock time may go to come up with the wall clock."""

DAY = 86_400.0
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def steady() -> float:
    """Return seconds since some moment, the same for every process of the machine until it boots again."""
    return time.clock_gettime(_STEADY)


def this_boot() -> str:
    """Return a name for the time since the machine was started; the same for ever where systems give none."""
    return _BOOT.read_text().strip() if _BOOT.exists() else "boot"


class Setting(msgspec.Struct, frozen=True):
    """Unix time less steady time since a boot, as of the steady time `set_at`."""

    boot: str
    difference: float
    set_at: float


def steer(old: Setting | None, *, boot: str, wall: float, at: float) -> Setting:
    """Return the next setting for a wall clock that says `wall` when the steady one says `at`."""
    wanted = wall - at
    if old is None or old.boot != boot or abs(wanted - old.difference) > DAY:
        return Setting(boot, wanted, at)
    most = MAX_PACE * max(0.0, at - old.set_at)
    return Setting(boot, old.difference + max(-most, min(most, wanted - old.difference)), at)


class Clock:
    """Unix seconds as the database counts them. `difference` asks it for its time less the steady time."""

    def __init__(self, difference: Callable[[], Awaitable[float]]) -> None:
        self._ask = difference
        self._difference = time.time() - steady()

    def now(self) -> float:
        """Return the time."""
        return steady() + self._difference

    async def set(self) -> None:
        """Ask the database anew. Raises StoreOutageError, and goes on as before."""
        self._difference = await self._ask()
