"""What a request costs when many are queued, and what a second worker adds."""

from __future__ import annotations

from bench.inputs import text_file
from bench.instant import instant
from bench.product import product
from bench.report import Row
from bench.world import World


def queue(world: World) -> list[Row]:
    """A thousand requests by themselves, then a million in batches that are all there from the beginning."""
    rows = []
    lines = world.size(5_000, 50_000)
    short = text_file(world.folder / "short.jsonl", 1_000)
    long = text_file(world.folder / "long.jsonl", lines)
    with instant() as engine, product(world.folder / "queue", engine.engine) as server:
        server.warm(text_file(world.folder / "warm.jsonl", 500))
        for file, batches in ((short, 1), (long, 1), (long, 20)):
            each = 1_000 if file is short else lines
            file_id = server.upload(file)
            seconds, cpu = server.drain([file_id] * batches)
            figures = {"requests/s": each * batches / seconds, "CPU ms/request": 1000 * cpu / each / batches}
            rows.append(Row("queue", f"{each * batches:,} requests in {batches}", figures))
    return rows


def workers(world: World) -> list[Row]:
    """One worker and two: a machine of two cores has to run the engine and the API beside them."""
    rows = []
    lines = world.size(10_000, 50_000)
    file = text_file(world.folder / "workers.jsonl", lines)
    warm = text_file(world.folder / "warm.jsonl", 500)
    for count in (1, 2):
        with (
            instant() as engine,
            product(
                world.folder / f"workers-{count}", engine.engine, in_flight=64 * count, workers=str(count)
            ) as server,
        ):
            server.warm(warm)
            file_ids = [server.upload(file), server.upload(file)]
            seconds, cpu = server.drain(file_ids)
            figures = {
                "requests/s": 2 * lines / seconds,
                "CPU ms/request": 1000 * cpu / lines / 2,
                "cores taken": cpu / seconds,
            }
            rows.append(Row("workers", f"{count} of them", figures))
    return rows
