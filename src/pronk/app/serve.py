"""The server: API, engines that it launches, worker processes."""

from __future__ import annotations

import signal
import socket
from contextlib import nullcontext

import anyio
import msgspec
import structlog
import uvicorn

from pronk import __version__
from pronk.api.app import ApiParts, create_api
from pronk.app import entry
from pronk.app.children import Children
from pronk.app.front import check_front, http_config
from pronk.app.host import free_the_dead
from pronk.app.launching import launched
from pronk.app.parts import Parts, open_parts
from pronk.app.scrape import Scrape, metrics_folder
from pronk.console.opening import add_console, open_console
from pronk.domain.errors import SettingsError
from pronk.engines.turns import in_turn
from pronk.journal import Journal
from pronk.settings import Settings
from pronk.telemetry import Folder

log = structlog.get_logger()


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; a second signal does not wait for requests that run."""
    anyio.run(check_front, settings)
    entry.run(settings, _serve, settings)


async def _serve(settings: Settings) -> None:
    listener = _listen(settings)
    settings = msgspec.structs.replace(settings, port=listener.getsockname()[1])
    async with launched(settings) as ready, open_parts(ready) as parts:
        await free_the_dead(parts.store)
        folder = metrics_folder(ready)
        folder.make()
        api_parts = _api_parts(parts, folder)
        media, pools = parts.resolver, parts.pools
        async with open_console(api_parts, media, pools, is_stopping=lambda: server.should_exit) as console:
            app = create_api(api_parts)
            add_console(app, console)
            server = _ApiServer(http_config(app, settings))
            await _run(server, Children(ready, parts.store, folder), listener)


async def _run(server: _ApiServer, children: Children, listener: socket.socket) -> None:
    async with anyio.create_task_group() as watching:
        watching.start_soon(_stop_on_signal, server, children)
        async with anyio.create_task_group() as running:
            running.start_soon(server.serve, [listener])
            running.start_soon(children.run)
        watching.cancel_scope.cancel()


class _ApiServer(uvicorn.Server):
    """uvicorn without its own idea of signals, and with a word when it answers."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            log.info("listening", url=_url(sockets[0], is_secure=self.config.is_ssl))

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]  # any context manager does
        return nullcontext()


def _api_parts(parts: Parts, folder: Folder) -> ApiParts:
    return ApiParts(
        settings=parts.settings,
        store=parts.store,
        blobs=parts.blobs,
        journal=Journal(parts.blobs),
        pools={name: in_turn(pool, parts.settings.engines[name]) for name, pool in parts.pools.items()},
        resolver=parts.resolver,
        now=parts.store.now,
        version=__version__,
        scrape=Scrape(parts.store, folder, lease_seconds=parts.settings.lease_seconds),
        outages=folder.outages,
    )


async def _stop_on_signal(server: _ApiServer, children: Children) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            server.force_exit = server.should_exit
            server.should_exit = True
            children.stop()


def _listen(settings: Settings) -> socket.socket:
    """Take the port before anything else starts, so that a second server fails at once and says why."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port} ({reason}); give another port with --port"
        ) from error
    listener.set_inheritable(False)
    return listener


def _url(listener: socket.socket, *, is_secure: bool) -> str:
    host, port = listener.getsockname()[:2]
    return f"{'https' if is_secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
