"""One worker process."""

from __future__ import annotations

import os
import signal
from functools import partial

import anyio
import anyio.abc

from pronk.app import entry
from pronk.app.launching import launched
from pronk.app.memory import settle
from pronk.app.parts import make_errands, make_reaper, make_worker, open_parts
from pronk.app.scrape import metrics_folder
from pronk.engines.measured import show_limits
from pronk.every import every
from pronk.settings import Settings
from pronk.telemetry import show, shown
from pronk.worker.patience import postponing

REAP_SECONDS = 10.0
"""How often a worker looks whether a chore is due."""

DELIVER_SECONDS = 1.0
"""How often a worker looks whether something is to be delivered."""

SHOW_SECONDS = 1.0
"""How often what was measured in plain numbers goes into the metrics."""


def work(settings: Settings, *, parent: int | None = None) -> None:
    """Work until told to stop: the first SIGTERM or SIGINT drains, the second one cancels.

    `parent` is a descriptor of a pipe that a server holds open; its end drains as well, so that no worker outlives its server.
    """
    settle()
    entry.run(settings, _work, settings, parent)


async def _work(settings: Settings, parent: int | None) -> None:
    draining = anyio.Event()
    async with (
        launched(settings) as ready,
        open_parts(ready, leaves_reserve=True) as parts,
        anyio.create_task_group() as group,
    ):
        show()
        metrics_folder(ready).reserve(os.getpid())
        group.start_soon(drain_on_signal, draining, group.cancel_scope)
        if parent is not None:
            group.start_soon(_drain_after, parent, draining)
        reap = postponing(make_reaper(parts).run_once, doing="reaping")
        group.start_soon(partial(every, REAP_SECONDS, reap, name="reaper"))
        deliver = postponing(make_errands(parts).run_once, doing="delivering")
        group.start_soon(partial(every, DELIVER_SECONDS, deliver, name="deliveries"))
        with shown(partial(show_limits, parts.pools.values())):
            group.start_soon(partial(every, SHOW_SECONDS, _show, name="metrics"))
            await make_worker(parts).run(draining)
        group.cancel_scope.cancel()


async def _show() -> None:
    show()


async def drain_on_signal(draining: anyio.Event, scope: anyio.CancelScope) -> None:
    """Set `draining` at the first signal to stop and cancel `scope` at the second."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            if draining.is_set():
                scope.cancel()
                return
            draining.set()


async def _drain_after(parent: int, draining: anyio.Event) -> None:
    await anyio.wait_readable(parent)
    draining.set()
