"""How fast the API answers while a worker takes all it can get."""

from __future__ import annotations

import threading
import time

import urllib3
from bench.inputs import text_file
from bench.instant import instant
from bench.product import Product, product
from bench.report import PRODUCT, Row
from bench.world import World

_CLIENTS = 4


def api_latency(world: World) -> list[Row]:
    """GET of the running batch: one after the other at 50/s, then as many as four clients get."""
    file = text_file(world.folder / "latency.jsonl", world.size(30_000, 400_000))
    with (
        instant() as engine,
        product(world.folder / "latency", engine.engine, max_lines="1000000") as server,
    ):
        batch = server.create(server.upload(file))["id"]
        _until_running(server, batch)
        calm = _ask(server.url, batch, seconds=world.size(2, 10), pause=0.02)
        status = server.client.get(f"/v1/batches/{batch}")["status"]
        rush = _rush(server.url, batch, world.size(2, 5))
    figures = {"p50 ms": _share(calm, 0.5), "p99 ms": _share(calm, 0.99), "GETs/s, 4 clients": rush}
    return [Row("api-latency", PRODUCT, {**figures, "still running": float(status == "in_progress")})]


def _until_running(server: Product, batch: str) -> None:
    while server.client.get(f"/v1/batches/{batch}")["status"] == "validating":
        time.sleep(0.02)


def _ask(url: str, batch: str, *, seconds: float, pause: float = 0.0) -> list[float]:
    pool = urllib3.HTTPConnectionPool(*_address(url), maxsize=1)
    took: list[float] = []
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        if pool.request("GET", f"/v1/batches/{batch}").status != 200:
            raise RuntimeError("the API refused")
        took.append(time.monotonic() - began)
        time.sleep(pause)
    return took


def _rush(url: str, batch: str, seconds: float) -> float:
    counts: list[int] = []
    clients = [
        threading.Thread(target=lambda: counts.append(len(_ask(url, batch, seconds=seconds))))
        for _ in range(_CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return sum(counts) / seconds


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.rpartition("//")[2].partition(":")
    return host, int(port)


def _share(took: list[float], share: float) -> float:
    return sorted(took)[min(len(took) - 1, int(len(took) * share))] * 1000
