"""A schema is the old one or the new one, whatever happens while it is changed."""

from __future__ import annotations

import os
import select
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from tests.store.cluster import Cluster
from tests.store.scenes import opened, start_batch, take

from pronk.store.opening import open_database
from pronk.store.postgres import _MIGRATION_LOCK

KILLS = 12
LAST_MS = 300
"""About how long a migration takes here."""

FORKING = """
import os, sys
from pronk.store import opening, postgres
for url in map(str.strip, sys.stdin):
    child = os.fork()
    if not child:
        opening.open_database(url)
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


@pytest.fixture
def migrating() -> Iterator[subprocess.Popen[str]]:
    """Run a process that opens each database it is told of in a child, so that a child starts at once."""
    command = [sys.executable, "-c", FORKING]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        yield process
        process.terminate()


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_migration_that_is_killed_leaves_the_old_schema_or_the_new(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, migrating: subprocess.Popen[str]
) -> None:
    cluster: Cluster | None = request.getfixturevalue("cluster") if kind == "postgres" else None
    left = set()
    for kill in range(KILLS):
        url = cluster.make_schema() if cluster else f"sqlite://{tmp_path}/{kill}.db"
        _kill_while_opening(migrating, url, after_ms=kill * LAST_MS // KILLS if cluster else kill * 4)
        left.add(_count_tables(url))
        async with opened(open_database(url)) as store:
            await start_batch(store)
            assert (await take(store)).number == 0
        complete = _count_tables(url)
        if cluster:
            cluster.drop_schema(url)
    assert left <= {0, complete}


def _kill_while_opening(migrating: subprocess.Popen[str], url: str, *, after_ms: int) -> None:
    assert migrating.stdin
    assert migrating.stdout
    migrating.stdin.write(f"{url}\n")
    child = int(migrating.stdout.readline())
    select.select([migrating.stdout], [], [], after_ms / 1000)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    assert migrating.stdout.readline() == "ended\n"


def _count_tables(url: str) -> int:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite://"))) as file:
            return int(file.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0])
    with psycopg.connect(url) as connection:
        # What the killed process had sent may still be running: its lock is the sign.
        connection.execute("SELECT pg_advisory_xact_lock(%s::bigint)", [_MIGRATION_LOCK])
        query = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()"
        return int((connection.execute(query).fetchone() or [0])[0])
