"""What hot statements cost does not grow with what is remembered: their plans, and counts of what they touch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.store.databases import Opener
from tests.store.scenes import NOW, opened

from pronk.store.database import Database, Transaction
from pronk.store.postgres import PostgresTransaction
from pronk.store.sqlite import SqliteTransaction

pytestmark = pytest.mark.anyio

FEW, MANY = 100, 10_000
LARGE = "batch|shard|file|share|idempotency|api_key"
SLACK = 8
"""Rows or steps that a plan may differ by for other reasons than size."""

FILL = (Path(__file__).parent / "fill.sql").read_text().split(";\n")[:-1]

HOT: dict[str, dict[str, object]] = {
    "pick_batch": {"pool": "default"},
    "pick_urgent": {"pool": "default"},
    "pick_any": {"pool": "default"},
    "list_level_projects": {"pool": "default", "priority": 0, "slack": 1},
    "pick_of_project": {"pool": "default", "priority": 0, "project_id": "proj_1"},
    "claim_shard": {
        "batch_id": "batch_5",
        "worker_id": "worker_7",
        "until": 5.0,
        "ticket": "t",
        "line_extra": 100,
    },
    "count_claim": {"id": "batch_5", "work": 5},
    "activate_share": {"pool": "default", "priority": 0, "parent": "", "name": "proj_new"},
    "insert_batch": {
        **dict.fromkeys(("job", "endpoint", "completion_window"), ""),
        **dict.fromkeys(
            ("model", "output_expires_after_seconds", "metadata", "traceparent", "expires_at", "urgent_at")
        ),
        "id": "batch_new",
        "project_id": "proj_1",
        "input_file_id": "file-1",
        "job_id": "job-1",
        "pool": "default",
        "priority": 0,
        "created_at": NOW,
    },
    "charge_share": {"pool": "default", "priority": 0, "parent": "", "name": "proj_5", "work": 5},
    "find_ticket": {"worker_id": "worker_7", "ticket": "t"},
    "renew_shards": {"worker_id": "worker_7", "until": 5.0},
    "find_late_shards": {"now": 5.0},
    "reclaim_shard": {"batch_id": "batch_5", "number": 0},
    "reclaim_of_worker": {"worker_id": "worker_7"},
    "reclaim_duty_of_worker": {"worker_id": "worker_7"},
    "claim_duty": {"worker_id": "worker_7", "now": 5.0, "until": 6.0, "unheard": None},
    "find_over": {"now": NOW},
    "expire_batch": {"id": "batch_5", "now": NOW},
    "find_urgent": {"now": NOW},
    "mark_urgent": {"id": "batch_5"},
    "count_finish": {"id": "batch_5", "now": 5, "owed": 5, "line_work": 5},
    "count_release": {"id": "batch_5", "shards": 1, "owed": 5},
    "get_batch": {"id": "batch_5", "project_id": None},
    "list_batches": {"project_id": "proj_1", "after": "batch_9", "limit": 20},
    "list_batches_of_status": {
        "project_id": "proj_1",
        "after": "batch_9",
        "limit": 20,
        "status": "in_progress",
    },
    "list_batches_of_job": {
        "project_id": "proj_1",
        "after": "batch_9",
        "limit": 5,
        "status": None,
        "job_id": "job-1",
    },
    "list_shards": {"batch_id": "batch_5"},
    "find_live_batch_of_file": {"file_id": "file-5"},
    "list_expired_files": {"now": NOW, "limit": 500},
    "list_files_down": {"project_id": "proj_1", "after": "file-9", "limit": 20, "now": NOW},
    "list_files_down_of_purpose": {
        "project_id": "proj_1",
        "after": "file-9",
        "limit": 20,
        "now": NOW,
        "purpose": "b",
    },
    "find_key": {"project_id": "proj_1", "key": "k"},
    "forget_idempotent": {"before": 5},
    "find_api_key": {"hash": "hash5"},
    "touch_api_key": {"id": "key_5", "now": NOW},
}


async def test_no_hot_statement_costs_more_where_more_is_remembered(opener: Opener) -> None:
    async with opened(opener()) as store:
        database = store._database
        await fill(database, 0, FEW)
        few = {query: (await look(database, query))[0] for query in HOT}
        await fill(database, FEW, MANY)
        many = {query: await look(database, query) for query in HOT}
    assert {query: plan for query, (_, plan) in many.items() if scans(plan)} == {}
    grown = {
        query: (few[query], cost) for query, (cost, _) in many.items() if cost > 1.2 * few[query] + SLACK
    }
    assert grown == {}


async def fill(database: Database, first: int, last: int) -> None:
    numbers = f"WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last - 1})"  # noqa: S608  # numbers

    def work(tx: Any) -> None:
        for statement in FILL:
            tx._connection.execute(f"{numbers} {statement}")
        tx._connection.execute("ANALYZE")

    await database.write(work)


class _Undo(Exception):  # noqa: N818  # not an error
    pass


async def look(database: Database, query: str) -> tuple[int, list[str]]:
    """Run a statement and undo it; return what it touched (rows, or steps of SQLite's machine) and its plan."""

    def work(tx: Transaction) -> None:
        raise _Undo(
            _look_postgres(tx, query) if isinstance(tx, PostgresTransaction) else _look_sqlite(tx, query)
        )

    with pytest.raises(_Undo) as caught:
        await database.write(work)
    found: tuple[int, list[str]] = caught.value.args[0]
    return found


def _look_sqlite(tx: Any, query: str) -> tuple[int, list[str]]:
    assert isinstance(tx, SqliteTransaction)
    text = tx._queries[query]
    plan = [row["detail"] for row in tx._connection.execute(f"EXPLAIN QUERY PLAN\n{text}", HOT[query])]
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    tx._connection.set_progress_handler(count, 1)
    tx.all(query, **HOT[query])
    tx._connection.set_progress_handler(None, 1)
    return steps, plan


def _look_postgres(tx: PostgresTransaction, query: str) -> tuple[int, list[str]]:
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON)\n{tx._queries[query]}"
    (answer,) = tx._connection.execute(explain.encode(), HOT[query]).fetchall()
    nodes = list(_nodes(answer["QUERY PLAN"][0]["Plan"]))
    return sum(map(_rows, nodes)), [
        f"{node['Node Type']} on {node.get('Relation Name', '')}" for node in nodes
    ]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _rows(node: dict[str, Any]) -> int:
    seen = (
        node["Actual Rows"]
        + node.get("Rows Removed by Filter", 0)
        + node.get("Rows Removed by Index Recheck", 0)
    )
    return int(seen * node["Actual Loops"])


def scans(plan: list[str]) -> list[str]:
    """Return the steps that read all of a large table."""
    return [step for step in plan if re.search(rf"(Seq Scan on|SCAN) ({LARGE})$", step)]
