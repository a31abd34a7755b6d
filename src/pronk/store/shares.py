"""Whose turn it is: priority, then deadlines that are near, then fair shares of projects, their jobs and those's batches.

A share is charged, in tokens, for what its batches are expected to use when a shard is claimed, and put right when the shard
comes back. Shares only say who is next: what they do not know is served all the same.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from pronk.domain.shard import Progress
from pronk.store.database import Row, Transaction

LINE_EXTRA = 100
"""What a line costs beside its tokens, so that lines count for something where an engine names no tokens."""

LINE_WORK = 1000
"""What a line is expected to cost while nothing is known of its batch."""

SLACK = 2 * 500 * LINE_WORK
"""How much more than the least served a project may have had and still be let in between: two whole shards of each worker.

A claim is paid before anything is known of its batch and most of it may be given back. Who joined level meanwhile, or was level, is
ahead by that, and would wait until the others have made up for it: for seconds, or a minute where many workers had paid.
"""

LOOKS = 64
"""How often one call looks for a batch; each look but the last puts right a share that was out of date."""


Place = tuple[int, str]
"""A project at a priority."""


class Flow(msgspec.Struct, frozen=True):
    """The batches of one job of one project at one priority of one pool."""

    pool: str
    priority: int
    project_id: str
    job_id: str


def flow_of(row: Row) -> Flow:
    """Read which flow a batch belongs to."""
    return Flow(row["pool"], row["priority"], row["project_id"], row["job_id"])


def work_of(progress: Progress) -> int:
    """Return what results have cost."""
    return progress.usage.total_tokens + LINE_EXTRA * (progress.completed + progress.failed)


def line_work_of(progress: Progress) -> int:
    """Return what a line of these has cost."""
    lines = progress.completed + progress.failed
    return work_of(progress) // lines if lines else LINE_WORK


def activate(tx: Transaction, flow: Flow) -> None:
    """Say that a flow has a batch to be claimed."""
    tx.many("activate_share", _both(flow))


def charge(tx: Transaction, flow: Flow, work: int) -> None:
    """Add to what a flow was given; less than nothing gives back."""
    tx.many("charge_share", [{**share, "work": work} for share in _both(flow)])


def pick(tx: Transaction, pool: str, *, is_for_deadlines: bool) -> str | None:
    """Return the id of the batch to serve next. With `is_for_deadlines` one that is urgent goes first."""
    urgent = tx.one("pick_urgent", pool=pool) if is_for_deadlines else None
    if urgent is not None:
        return str(urgent["id"])
    found = _first(tx, pool)
    return str(found["id"]) if found is not None else _pick_any(tx, pool)


def pick_beside(tx: Transaction, pool: str, served: Collection[Place], *, workers: int) -> str | None:
    """Return the batch to serve next when it is the turn of a project that is not in `served`, else None.

    Of projects that were served alike, or nearly (`SLACK`), it is the turn of one that is not.
    """
    found = _first(tx, pool)
    if found is None:
        return None
    priority = int(found["priority"])
    if (priority, found["project_id"]) not in served:
        return str(found["id"])
    where = {"pool": pool, "priority": priority}
    for level in tx.all("list_level_projects", slack=SLACK * workers, **where):
        if (priority, level["name"]) not in served:
            other = tx.one("pick_of_project", project_id=level["name"], **where)
            if other is not None:
                return str(other["id"])
    return None


def _first(tx: Transaction, pool: str) -> Row | None:
    """Return whose turn it is, having put shares right that are out of date; None when they know of nobody."""
    for _ in range(LOOKS):
        found = tx.one("pick_batch", pool=pool)
        if found is None or found["id"] is not None:
            return found
        if not _deactivate(tx, pool, found):
            return None
    return None


def _deactivate(tx: Transaction, pool: str, empty: Row) -> bool:
    """Switch off the share that led to nothing; False when there was none."""
    values = {"pool": pool, "priority": empty["priority"]}
    if empty["job_id"] is not None:
        share = {"parent": empty["project_id"], "name": empty["job_id"], "version": empty["job_version"]}
    elif empty["project_id"] is not None:
        share = {"parent": "", "name": empty["project_id"], "version": empty["project_version"]}
    else:
        return False
    tx.run("deactivate_share", **values, **share)
    return True


def _pick_any(tx: Transaction, pool: str) -> str | None:
    found = tx.one("pick_any", pool=pool)
    if found is None:
        return None
    activate(tx, flow_of(found))
    return str(found["id"])


def _both(flow: Flow) -> list[dict[str, object]]:
    where = {"pool": flow.pool, "priority": flow.priority}
    return [
        {**where, "parent": "", "name": flow.project_id},
        {**where, "parent": flow.project_id, "name": flow.job_id},
    ]
