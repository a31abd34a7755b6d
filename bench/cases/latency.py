"""How fast the API answers while a worker takes all it can get."""

from __future__ import annotations

import time

from bench.asking import ask
from bench.inputs import text_file
from bench.instant import instant
from bench.measure import cpu_seconds
from bench.product import Product, product
from bench.report import PRODUCT, Row
from bench.world import World

_CLIENTS = 4


def api_latency(world: World) -> list[Row]:
    """GET of the running batch: one after the other at 50/s, then as many as four clients get."""
    file = text_file(world.folder / "latency.jsonl", world.size(60_000, 400_000))
    with (
        instant() as engine,
        product(world.folder / "latency", engine.engine, max_lines="1000000") as server,
    ):
        batch = server.create(server.upload(file))["id"]
        path = f"/v1/batches/{batch}"
        _until_running(server, batch)
        calm = ask(server.url, path, clients=1, seconds=world.size(1, 10), pause=0.02)
        before, began = cpu_seconds(server.process.pid), time.monotonic()
        rush = ask(server.url, path, clients=_CLIENTS, seconds=world.size(1, 5))
        took, cpu = time.monotonic() - began, cpu_seconds(server.process.pid) - before
        status = server.client.get(path)["status"]
    figures = {
        "p50 ms": _share(calm, 0.5),
        "p99 ms": _share(calm, 0.99),
        "GETs/s, 4 clients": len(rush) / took,
        "their p99 ms": _share(rush, 0.99),
        "CPU ms/GET": cpu / len(rush) * 1000,
    }
    return [Row("api-latency", PRODUCT, {**figures, "still running": float(status == "in_progress")})]


def _until_running(server: Product, batch: str) -> None:
    while server.client.get(f"/v1/batches/{batch}")["status"] == "validating":
        time.sleep(0.02)


def _share(took: list[float], share: float) -> float:
    return sorted(took)[min(len(took) - 1, int(len(took) * share))] * 1000
