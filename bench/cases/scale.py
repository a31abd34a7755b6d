"""What grows with batches, shards, projects and workers: the store's own code on both databases, filled and crowded."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import anyio
from bench.crowd import crowd
from bench.field import open_field, spread
from bench.report import Row
from bench.world import World
from tests.store.cluster import Cluster, is_installed, running_cluster

ROUNDS = 12
TIMES = 15
"""Deeds of a kind in one turn of a size, and turns."""

WORKERS = 64
SHARD_SECONDS = 2.0
"""A shard of 500 lines by a worker that does 250 a second; 64 of them do 1.4 billion a day."""


def scale(world: World) -> list[Row]:
    """What a claim, a create and a list cost with more and more live batches; then 64 workers beside one."""
    sizes = (10, 100, 1000, 10_000) if world.is_full else (10, 100, 1000)
    with tempfile.TemporaryDirectory(dir=_memory(world.folder)) as folder:
        rows = costs("SQLite", lambda size: f"sqlite://{folder}/{size}.db", sizes)
    if not is_installed():
        return rows
    with durable_cluster() as cluster:
        rows += costs("Postgres", lambda _: cluster.make_schema(), sizes)
        rows += contention(cluster, world.size(10, 40))
    return rows


def costs(
    who: str, url_of: Callable[[int], str], sizes: tuple[int, ...], *, rounds: int = ROUNDS
) -> list[Row]:
    """Return the cost of each deed at each size, and how far they are apart.

    The sizes take turns, so that a machine that becomes slower meanwhile is slower for all of them. SQLite lies in memory: a
    disk's syncs, the same at every size, would hide what grows.
    """
    medians = anyio.run(_measure, url_of, sizes, rounds)
    rows = [
        Row("scale: live batches", f"{who}, {size:,} batches, {size * 100:,} shards", found)
        for size, found in zip(sizes, medians, strict=True)
    ]
    return [*rows, Row("scale: live batches", f"{who}, dearest by cheapest size", dict(spread(medians)))]


async def _measure(
    url_of: Callable[[int], str], sizes: tuple[int, ...], rounds: int
) -> list[dict[str, float]]:
    async with AsyncExitStack() as stack:
        fields = [await stack.enter_async_context(open_field(url_of(size), size)) for size in sizes]
        for field in fields:
            await field.measure(TIMES)
            field.seconds.clear()
        for _ in range(rounds):
            for field in fields:
                await field.measure(TIMES)
                await field.count()
        return [field.medians() for field in fields]


def contention(cluster: Cluster, seconds: float) -> list[Row]:
    """Return what 64 workers do beside one, at their pace and as fast as the database goes."""
    rows = []
    for what, pace in (("at their pace", SHARD_SECONDS), ("without any work", 0.0)):
        found = {}
        for workers in (1, WORKERS):
            url = cluster.make_schema()
            anyio.run(fill, url, 1000)
            found[workers] = crowd(url, workers, shard_seconds=pace, seconds=seconds)
            cluster.drop_schema(url)
        lost = 1 - found[1]["cycle s"] / found[WORKERS]["cycle s"]
        figures = {"one: shards/s": found[1]["shards/s"], "64: shards/s": found[WORKERS]["shards/s"]}
        figures |= {
            "one: cycle ms": found[1]["cycle s"] * 1000,
            "64: cycle ms": found[WORKERS]["cycle s"] * 1000,
        }
        rows.append(
            Row(
                "scale: workers", f"Postgres, {what}", {**figures, **({"lost %": 100 * lost} if pace else {})}
            )
        )
    return rows


async def fill(url: str, batches: int) -> None:
    """Fill a new database."""
    async with open_field(url, batches):
        pass


@contextmanager
def durable_cluster() -> Iterator[Cluster]:
    """Run a Postgres that syncs what it commits."""
    folder = Path(tempfile.mkdtemp(prefix="pronk-scale-"))
    try:
        with running_cluster(folder, is_durable=True) as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder)


def _memory(otherwise: Path) -> Path:
    memory = Path("/dev/shm")  # noqa: S108  # not a name to be guessed
    return memory if os.access(memory, os.W_OK) else otherwise
