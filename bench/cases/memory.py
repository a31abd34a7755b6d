"""What the processes hold: the API while 200 MB go up and down, the worker over a file of that size."""

from __future__ import annotations

import os

from bench.inputs import text_file
from bench.instant import instant
from bench.measure import resident_mib, watched
from bench.product import product
from bench.report import PRODUCT, Row
from bench.world import World, ours


def memory(world: World) -> list[Row]:
    """50,000 lines, 200 MB."""
    lines = world.size(5_000, 50_000)
    file = text_file(world.folder / "memory.jsonl", lines, 3_980)
    with instant() as engine, product(world.folder / "memory", engine.engine) as server:
        server.warm(text_file(world.folder / "warm.jsonl", 500))
        rest = resident_mib(server.process.pid)
        with watched(server.process.pid) as up:
            file_id = server.upload(file)
        outcome = server.run(file_id)
        with watched(server.process.pid) as down, open(os.devnull, "wb") as sink:  # noqa: PTH123  # no path at all
            server.client.download(file_id, sink)
    api = {"API at rest MiB": rest, "API upload MiB": up.mib, "API download MiB": down.mib}
    return [Row("memory", PRODUCT, {**ours("", outcome).figures, **api, "MB": file.stat().st_size / 1e6})]
