"""Databases that are restarted, locked, full of others or too old: work waits or is told, and nothing is half done."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import psycopg
import pytest
from tests.store.cluster import Cluster
from tests.store.databases import Opener
from tests.store.scenes import NOW, a_file, cuts, done, opened, start_batch, take

from pronk.domain.errors import SettingsError, StoreOutageError
from pronk.domain.ids import ProjectId
from pronk.store import database, postgres
from pronk.store.database import Transaction, TryAgainError, load_migrations
from pronk.store.opening import open_database
from pronk.store.sqlite import open_sqlite

pytestmark = pytest.mark.anyio


def _kill_others(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'pronk' AND pid <> pg_backend_pid()"
        )


async def test_connections_that_died_cost_another_try_and_no_error(cluster: Cluster) -> None:
    url = cluster.make_schema()
    async with opened(open_database(url)) as store:
        await start_batch(store)
        _kill_others(cluster)
        assert (await take(store)).number == 0
        _kill_others(cluster)
        await store.ping()


async def test_a_connection_that_dies_within_a_transaction_leaves_nothing_of_it(cluster: Cluster) -> None:
    async with opened(open_database(cluster.make_schema())) as store:
        tries: list[int] = []

        def work(tx: Transaction) -> None:
            tries.append(len(tries))
            tx.run("ensure_project", id=f"proj_{len(tries)}", name=f"{len(tries)}", now=NOW)
            if len(tries) == 1:
                _kill_others(cluster)
            tx.run("remember_region", bucket="b", region=f"try {len(tries)}")

        await store._database.write(work)
        assert tries == [0, 1]
        assert await store.regions.find_region("b") == "try 2"
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            await store.files.add(a_file(project=ProjectId("proj_1")))
        await store.files.add(a_file(project=ProjectId("proj_2")))


async def test_a_server_that_restarts_is_an_outage_until_it_is_back(cluster: Cluster) -> None:
    async with opened(open_database(cluster.make_schema())) as store:
        await start_batch(store)
        claim = await take(store)
        await anyio.to_thread.run_sync(cluster.stop, "fast")
        with pytest.raises(StoreOutageError):
            await store.ping()
        with pytest.raises(StoreOutageError):
            await store.shards.finish(claim, done(10), now=NOW)
        await anyio.to_thread.run_sync(cluster.start)
        assert await store.shards.finish(claim, done(10), now=NOW)


async def test_a_commit_that_did_not_happen_is_not_taken_for_one(cluster: Cluster) -> None:
    async with opened(open_database(cluster.make_schema())) as store:

        def work(tx: Transaction) -> None:
            tx.one("see_worker", id="w", host="h", pid=1, now=NOW, since=0)
            with suppress(psycopg.errors.ForeignKeyViolation):
                tx.run("insert_shard", batch_id="none", **msgspec.structs.asdict(cuts(1)[0]))

        with pytest.raises(StoreOutageError, match="did not commit"):
            await store._database.write(work)
        assert await store.workers.count(since=0) == 0


async def test_one_that_always_loses_is_told_so_after_a_few_tries(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PAUSES", (0.0, 0.0))
    async with opened(opener()) as store:
        tries = []

        def work(tx: Transaction) -> None:
            seen = tx.one("see_worker", id="w", host="h", pid=1, now=NOW, since=0)
            tries.append(seen and seen["workers"])
            raise TryAgainError("lost")

        with pytest.raises(StoreOutageError, match="busy"):
            await store._database.write(work)
        assert tries == [1, 1, 1]
        assert await store.workers.count(since=0) == 0


async def test_a_deadlock_costs_one_of_both_another_try(cluster: Cluster) -> None:
    """Or some: the one that was ended may come back before the other has got what it waited for."""
    url = cluster.make_schema()
    async with opened(open_database(url)) as one, opened(open_database(url)) as other:
        meeting = threading.Barrier(2, timeout=120)
        tries: list[str] = []

        def work(first: str, second: str) -> Callable[[Transaction], None]:
            def cross(tx: Transaction) -> None:
                tries.append(first)
                tx.run("ensure_project", id=first, name=first, now=NOW)
                if len(tries) <= 2:
                    meeting.wait()
                tx.run("ensure_project", id=second, name=second, now=NOW)

            return cross

        async with anyio.create_task_group() as group:
            group.start_soon(one._database.write, work("proj_x", "proj_y"))
            group.start_soon(other._database.write, work("proj_y", "proj_x"))
        assert len(tries) >= 3


async def test_a_file_that_somebody_keeps_locked_is_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pronk.store.sqlite.BUSY_SECONDS", 0.05)
    async with opened(open_sqlite(tmp_path / "x.db")) as store:
        blocker = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreOutageError, match="locked"):
            await store.files.add(a_file())
        await store.ping()
        blocker.execute("ROLLBACK")
        blocker.close()
        await store.files.add(a_file())


def test_a_url_that_cannot_be_served_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can be read"):
        open_database("postgresql://host:port:port/x?nothing=1")
    with pytest.raises(StoreOutageError):
        open_database("postgresql://pronk:secret@127.0.0.1:1/x")
    (tmp_path / "taken").write_text("x")
    with pytest.raises(StoreOutageError):
        open_database(f"sqlite://{tmp_path}/taken/x.db")


async def test_opening_brings_the_schema_up_to_date_once(opener: Opener) -> None:
    steps = [name for name, _ in load_migrations()]
    first, second = opener(), opener()
    assert (list(first.applied), list(second.applied)) == (steps, [])
    await first.close()
    await second.close()


def test_statements_are_translated_once_for_postgres() -> None:
    assert postgres.translate_query("SELECT ':a' WHERE x::int = :a_b /* skip locked */ AND y LIKE '%'") == (
        "SELECT '%(a)s' WHERE x::int = %(a_b)s FOR UPDATE SKIP LOCKED AND y LIKE '%%'"
    )
    assert postgres.translate_script("a TEXT NOT NULL, CONTEXT") == 'a TEXT COLLATE "C" NOT NULL, CONTEXT'


_HOLDER = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE project SET name = name || ', half done'")
print("held", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


async def test_a_process_that_is_stopped_within_a_transaction_is_waited_for_until_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading goes on meanwhile; nothing of what it had begun stays."""
    monkeypatch.setattr("pronk.store.sqlite.BUSY_SECONDS", 0.05)
    async with opened(open_sqlite(tmp_path / "x.db")) as store:
        command = [sys.executable, "-c", _HOLDER, str(tmp_path / "x.db")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:  # noqa: ASYNC220
            assert holder.stdout is not None
            await anyio.to_thread.run_sync(holder.stdout.readline)
            with pytest.raises(StoreOutageError, match="locked"):
                await store.files.add(a_file())
            before = await store.projects.page()
            holder.kill()
        await store.files.add(a_file())
        assert await store.projects.page() == before
        assert not [project for project in before if "half done" in project.name]


async def test_a_look_at_sqlite_waits_for_no_writer(tmp_path: Path) -> None:
    async with opened(open_sqlite(tmp_path / "pronk.db")) as store:
        batch_id = await start_batch(store)
        with sqlite3.connect(tmp_path / "pronk.db", isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            other.execute("DELETE FROM shard")
            assert (await store.batches.get(None, batch_id)).id == batch_id


async def test_a_look_at_sqlite_that_would_have_to_wait_does_so_in_a_thread(tmp_path: Path) -> None:
    sqlite = open_sqlite(tmp_path / "pronk.db")
    threads: list[int] = []

    def work(tx: Transaction) -> object:
        threads.append(threading.get_ident())
        if len(threads) == 1:
            raise sqlite3.OperationalError("database is locked")
        return tx.one("ping")

    try:
        assert await sqlite.look(work) is not None
    finally:
        await sqlite.close()
    assert threads[0] == threading.get_ident() != threads[1]
