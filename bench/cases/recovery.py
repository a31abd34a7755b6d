"""From SIGKILL of everything to the first answer after the next start."""

from __future__ import annotations

import os
import signal
import time

from bench.inputs import text_file
from bench.instant import Instant, instant
from bench.product import Product, product
from bench.report import PRODUCT, Row
from bench.world import World

_LOOK_SECONDS = 0.01


def recovery(world: World) -> list[Row]:
    """Kill server and worker in the middle of a batch; kill the worker alone in the middle of another."""
    file = text_file(world.folder / "recovery.jsonl", world.size(20_000, 50_000))
    folder = world.folder / "recovery"
    with instant(seats=32, seconds=0.02) as engine:
        with product(folder, engine.engine) as server:
            server.create(server.upload(file))
            _until(engine, more_than=1_000)
            server.kill()
        killed, asked = time.monotonic(), engine.stats()["posts"]
        with product(folder, engine.engine) as server:
            _until(engine, more_than=asked)
            whole = time.monotonic() - killed
            worker = _of_worker(server, engine)
    figures = {"server and worker s": whole, "worker alone s": worker}
    return [Row("recovery", PRODUCT, figures)]


def _of_worker(server: Product, engine: Instant) -> float:
    _until(engine, more_than=engine.stats()["posts"] + 500)
    os.kill(server.worker, signal.SIGKILL)
    killed, asked = time.monotonic(), engine.stats()["posts"]
    _until(engine, more_than=asked + 64)
    return time.monotonic() - killed


def _until(engine: Instant, *, more_than: float) -> None:
    while engine.stats()["posts"] <= more_than:
        time.sleep(_LOOK_SECONDS)
