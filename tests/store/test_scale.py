"""What the store's deeds cost where much is live, and what many workers wait for each other: `pronk bench scale` itself.

That no statement reads more where more is remembered is counted in test_plans; here the clock speaks, at full size.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio
import pytest
from bench.cases.scale import contention, costs, durable_cluster, fill
from bench.crowd import crowd
from tests.store.cluster import is_installed
from tests.store.databases import MEMORY

needs_postgres = pytest.mark.skipif(not is_installed(), reason="Postgres is not installed")

FULL = (10, 100, 1000, 10_000)
FLAT = 1.2
SQLITE_CLAIM = 1.4
"""In memory. With ten batches all that a claim writes lies on the same few pages of the file, with many each row on its own: 0.06 ms
more, where a disk's sync takes some."""


def test_the_bench_measures_every_deed_at_every_size(tmp_path: Path) -> None:
    rows = costs("SQLite", lambda size: f"sqlite://{tmp_path}/{size}.db", (1, 20), rounds=1)
    names = {f"{deed} ms" for deed in ("claim", "renew", "report", "finish", "create", "list", "scrape")}
    assert [set(row.figures) for row in rows] == [names] * 3
    assert all(value > 0 for row in rows for value in row.figures.values())


def test_simulated_workers_do_shards_each_at_its_pace(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/crowd.db"
    anyio.run(fill, url, 1)
    found = crowd(url, 2, shard_seconds=0.1, seconds=0.3)
    assert found["cycle s"] >= 0.1
    assert 2 / 0.3 <= found["shards/s"] < 2 / 0.1 + 2 / 0.3


@pytest.mark.scale
@pytest.mark.timeout(270)
def test_sqlite_costs_the_same_with_ten_thousand_batches() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        *_, apart = costs("SQLite", lambda size: f"sqlite://{folder}/{size}.db", FULL)
    grown = {name: times for name, times in apart.figures.items() if times > FLAT}
    assert grown.pop("claim ms", 1.0) < SQLITE_CLAIM
    assert list(grown) == ["scrape ms"]


@needs_postgres
@pytest.mark.scale
@pytest.mark.timeout(270)
def test_postgres_costs_the_same_with_ten_thousand_batches() -> None:
    with durable_cluster() as cluster:
        *_, apart = costs("Postgres", lambda _: cluster.make_schema(), FULL)
    assert [name for name, times in apart.figures.items() if times > FLAT] == ["scrape ms"]


@needs_postgres
@pytest.mark.scale
@pytest.mark.timeout(270)
def test_sixty_four_workers_on_postgres_lose_little_to_each_other() -> None:
    with durable_cluster() as cluster:
        at_their_pace, as_fast_as_it_goes = contention(cluster, 20)
    assert at_their_pace.figures["lost %"] < 5
    assert as_fast_as_it_goes.figures["64: shards/s"] > as_fast_as_it_goes.figures["one: shards/s"]
