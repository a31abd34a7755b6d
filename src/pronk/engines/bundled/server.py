"""Puts the bundled engine together and runs it until it is told to stop."""

import contextlib
import os
import random
import signal
import socket
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import uvicorn
from anyio import CapacityLimiter
from PIL import Image
from starlette.applications import Starlette

from pronk.domain.errors import SettingsError
from pronk.engines.bundled.admission import Room
from pronk.engines.bundled.app import Served, build_app
from pronk.engines.bundled.engine import Engine, Patience
from pronk.engines.bundled.layout import Layout, read_layout
from pronk.engines.bundled.metrics import Metrics
from pronk.engines.bundled.model import Model, Parts
from pronk.engines.bundled.options import EngineOptions, shipped_model
from pronk.engines.bundled.pictures import PictureLimits
from pronk.engines.bundled.protocol import Open
from pronk.engines.bundled.schemas import SchemaTrials
from pronk.engines.bundled.tokens import Tokens

SCRATCH_BLOCKS = 16
KEEP_ALIVE_SECONDS = 75


def run(options: EngineOptions) -> None:
    """Serve until SIGTERM or SIGINT; raises `SettingsError` when it cannot start."""
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    try:
        anyio.run(_serve, options, backend_options={"use_uvloop": True})
    except* SettingsError as group:
        raise _first(group) from None


def _first(group: BaseExceptionGroup) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _serve(options: EngineOptions) -> None:
    with listening(options) as listener:
        async with opened(options) as app:
            await answer(app, listener, options)


@contextlib.contextmanager
def listening(options: EngineOptions) -> Iterator[socket.socket]:
    """Bound before the model is loaded, so that a port in use is said at once."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((options.host, options.port))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {options.host}:{options.port}: {os.strerror(error.errno or 0)}"
            ) from error
        yield listener


@asynccontextmanager
async def opened(options: EngineOptions) -> AsyncIterator[Starlette]:
    """The app with everything behind it running."""
    layout = read_layout(options.folder)
    room = Room(options.kv_blocks, options.max_sequences, options.max_waiting, options.max_waiting_bytes)
    engine = Engine(_opening(options, layout), room, Patience(stall_seconds=options.stall_seconds))
    schemas = SchemaTrials(scratch(options, layout), options.schema_seconds)
    async with engine.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(schemas.run)
        yield build_app(_served(options, layout, engine, schemas))
        tasks.cancel_scope.cancel()


def _opening(options: EngineOptions, layout: Layout) -> Open:
    return Open(
        model_dir=str(layout.directory),
        pictures=layout.fit is not None,
        kv_blocks=options.kv_blocks,
        max_sequences=options.max_sequences,
        max_batched_tokens=options.max_batched_tokens,
        prefix_caching=options.prefix_caching,
        precision=options.precision,
    )


def scratch(options: EngineOptions, layout: Layout) -> Open:
    """What tries schemas: the smallest model at hand."""
    small = shipped_model() if (shipped_model() / "config.json").is_file() else layout.directory
    return Open(
        model_dir=str(small),
        pictures=read_layout(small).fit is not None,
        kv_blocks=SCRATCH_BLOCKS,
        max_sequences=1,
        max_batched_tokens=options.max_batched_tokens,
        prefix_caching=False,
        precision="auto",
    )


def _served(options: EngineOptions, layout: Layout, engine: Engine, schemas: SchemaTrials) -> Served:
    chance = random.Random()
    tokens = Tokens(layout.directory)
    model = Model(
        Parts(
            layout=layout,
            tokens=tokens,
            engine=engine,
            schemas=schemas,
            limits=PictureLimits(
                options.max_picture_bytes, options.max_picture_pixels, options.allowed_local_media_path
            ),
            kv_blocks=options.kv_blocks,
            decoding=CapacityLimiter(options.decode_threads),
            chance=chance,
        )
    )
    return Served(
        name=options.name,
        model=model,
        spell=tokens.spell,
        engine=engine,
        metrics=Metrics(engine, options.name),
        max_body_bytes=options.max_body_bytes,
        now=time.time,
        new_id=lambda: f"{chance.getrandbits(128):032x}",
        created=int(time.time()),
    )


class Server(uvicorn.Server):
    """uvicorn without its own signal handling, which would end the process before everything is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def answer(app: Starlette, listener: socket.socket, options: EngineOptions) -> None:
    """Serve HTTP; the first signal lets running requests finish within the grace time, the second does not."""
    server = Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(options.grace_seconds),
        )
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, server)
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        listener.listen(2048)
        print(f"ready http://{shown}:{port}/v1 model {options.name}", flush=True)  # noqa: T201
        await server.serve(sockets=[listener])
        tasks.cancel_scope.cancel()


async def _stop_on_signal(server: Server) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _signal in signals:
            server.force_exit = server.should_exit
            server.should_exit = True
