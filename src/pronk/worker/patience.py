"""Waiting for the database or the storage to come back: work pauses, nothing is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from pronk.domain.errors import OutageError
from pronk.telemetry import OUTAGES
from pronk.telemetry.outages import part_of

T = TypeVar("T")

FIRST_DELAY = 0.2
MAX_DELAY = 5.0


async def patiently(work: Callable[[], Awaitable[T]], *, doing: str) -> T:
    """Return what `work` returns, as soon as what it needs is there; `doing` names it in the log.

    Only an OutageError is waited out. A cancelled caller stops waiting.
    """
    delay, who = FIRST_DELAY, object()
    try:
        while True:
            try:
                return await work()
            except OutageError as outage:
                OUTAGES.wait(part_of(outage), who, doing=doing, error=str(outage))
            await anyio.sleep(delay)
            delay = min(MAX_DELAY, delay * 2)
    finally:
        OUTAGES.over(who)


def postponing(work: Callable[[], Awaitable[object]], *, doing: str) -> Callable[[], Awaitable[None]]:
    """Return `work` as a round of a loop: one that meets an outage is left to the next, which is soon enough."""
    who = object()

    async def run_once() -> None:
        try:
            await work()
        except BaseException as error:
            outage = _outage_in(error)
            if outage is None:
                OUTAGES.over(who)
                raise
            OUTAGES.wait(part_of(outage), who, doing=doing, error=str(outage))
        else:
            OUTAGES.over(who)

    return run_once


def _outage_in(error: BaseException) -> OutageError | None:
    """Return the outage that an error is, or the first of a group that tasks met together and that holds nothing else."""
    while isinstance(error, BaseExceptionGroup):
        if error.split(OutageError)[1] is not None:
            return None
        error = error.exceptions[0]
    return error if isinstance(error, OutageError) else None
