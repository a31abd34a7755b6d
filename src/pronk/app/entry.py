"""How every way of running begins: logs, an event loop, and one plain error instead of a group of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import anyio

from pronk import __version__
from pronk.domain.errors import PronkError
from pronk.settings import Settings
from pronk.telemetry import configure_logs
from pronk.telemetry.traces import opened

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


def run(settings: Settings, main: Callable[[*Arguments], Awaitable[T]], *arguments: *Arguments) -> T:
    """Return what `main` returns. Errors of ours come out as they are, whatever task they came from."""
    configure_logs(settings.log_level, settings.log_format)
    try:
        with opened(settings.traces_endpoint, settings.traces_ratio, __version__):
            return anyio.run(main, *arguments, backend_options={"use_uvloop": True})
    except BaseExceptionGroup as group:
        error = _ours(group)
        if error is None:
            raise
        raise error from group


def _ours(group: BaseExceptionGroup[BaseException]) -> PronkError | None:
    for error in group.exceptions:
        found = _ours(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, PronkError):
            return found
    return None
