"""Batches as people look for them, and what many of them did together."""

from __future__ import annotations

import msgspec

from pronk.domain.batch import Batch, Counts
from pronk.domain.ids import ProjectId
from pronk.domain.job import Job
from pronk.domain.usage import Usage
from pronk.store import rows
from pronk.store.database import LAST, Database


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Which batches: older than `after` (an id), not older than `since` (Unix seconds), with `text` somewhere in their names."""

    after: str | None = None
    since: float | None = None
    limit: int = 50
    status: str | None = None
    job_id: str | None = None
    text: str | None = None


class Found(msgspec.Struct, frozen=True):
    """A batch, and what its input file is called; None for one that is gone."""

    batch: Batch
    filename: str | None


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """What the batches of one job did that were created in one step of time; `at` is its beginning."""

    at: int
    job: Job
    batches: int
    counts: Counts
    usage: Usage

    @property
    def cost(self) -> float | None:
        """Dollars, None for a job without a price."""
        return self.job.price.cost(self.usage) if self.job.price else None


class Overview:
    """Questions that look at many batches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(self, project_id: ProjectId, search: Search) -> list[Found]:
        """Return up to `search.limit` batches, newest first."""
        values = {
            "project_id": project_id,
            "after": search.after or LAST,
            "since": _first_id(search.since or 0),
            "limit": search.limit,
            "status": search.status,
            "job_id": search.job_id,
            "text": _pattern(search.text),
        }
        found = await self._database.read(lambda tx: tx.all("search_batches", **values))
        return [Found(rows.to_batch(row), row["filename"]) for row in found]

    async def sums(self, project_id: ProjectId, *, since: float, until: float, step: int) -> list[Sum]:
        """Return the sums of the batches created from `since` to `until` (Unix seconds) by steps of `step` seconds."""
        values = {
            "project_id": project_id,
            "since": _first_id(since),
            "until": _first_id(until),
            "step": step,
        }
        found = await self._database.read(lambda tx: tx.all("sum_batches", **values))
        return [
            Sum(
                at=row["step"] * step,
                job=rows.to_job(row["job"]),
                batches=row["batches"],
                counts=Counts(row["total"], row["completed"], row["failed"]),
                usage=rows.to_usage(row),
            )
            for row in found
        ]


def _first_id(seconds: float) -> str:
    """Return what sorts just before every batch made at that time; ids begin with their milliseconds."""
    return f"batch_{max(0, int(seconds * 1000)):011x}"


def _pattern(text: str | None) -> str | None:
    if not text or not text.strip():
        return None
    plain = text.strip().lower()
    for special in "!%_":
        plain = plain.replace(special, f"!{special}")
    return f"%{plain}%"
