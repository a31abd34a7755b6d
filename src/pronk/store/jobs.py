"""Jobs that were made over HTTP, as they are remembered, and with whom they are shared."""

from __future__ import annotations

from itertools import groupby

import msgspec

from pronk.domain.errors import ConflictError
from pronk.domain.ids import JobId, ProjectId
from pronk.domain.job import Job
from pronk.store import rows
from pronk.store.database import Database, Row, Transaction


class StoredJob(msgspec.Struct, frozen=True):
    """A job, when it was made, and whose it is."""

    job: Job
    created_at: int
    owner: ProjectId


class Jobs:
    """Job rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, project_id: ProjectId, job: Job, *, now: int) -> None:
        """Remember a job; ConflictError when its id is taken."""
        values = {"project_id": project_id, "id": job.id, "definition": rows.to_json(job), "now": now}

        def work(tx: Transaction) -> None:
            if not tx.run("insert_job", **values):
                raise ConflictError(f"A job with the id {job.id!r} exists.", param="id", code="job_exists")
            _share(tx, project_id, job)

        await self._database.write(work)

    async def update(self, project_id: ProjectId, job: Job, *, now: int) -> bool:
        """Replace a job's definition; batches keep their copies. False when there is no such job here."""
        values = {"project_id": project_id, "id": job.id, "definition": rows.to_json(job), "now": now}

        def work(tx: Transaction) -> bool:
            if not tx.run("update_job", **values):
                return False
            tx.run("drop_job_shares", project_id=project_id, job_id=job.id)
            _share(tx, project_id, job)
            return True

        return await self._database.write(work)

    async def delete(self, project_id: ProjectId, job_id: JobId) -> bool:
        """Forget a job; False when there is none here or a live batch of the project uses it."""
        return bool(
            await self._database.write(lambda tx: tx.run("delete_job", project_id=project_id, id=job_id))
        )

    async def find(self, project_id: ProjectId, job_id: str) -> StoredJob | None:
        """Return the project's job of this id, else the oldest that another project shares with it."""
        values = {"project_id": project_id, "id": job_id}
        row = await self._database.read(
            lambda tx: tx.one("find_job", **values) or tx.one("find_shared_job", **values)
        )
        return _to_stored(row) if row else None

    async def page(self, project_id: ProjectId, *, after: str = "", limit: int = 100) -> list[StoredJob]:
        """Return jobs by id, the project's and those that are shared with it; of each id the one that `find` gives."""
        values = {"project_id": project_id, "after": after, "limit": limit}
        found = await self._database.read(lambda tx: tx.all("list_jobs", **values))
        return [_to_stored(next(same)) for _, same in groupby(found, key=lambda row: row["id"])]


def _share(tx: Transaction, project_id: ProjectId, job: Job) -> None:
    for other in job.shared_with or ():
        tx.run("add_job_share", shared_with=other, job_id=job.id, project_id=project_id)


def _to_stored(row: Row) -> StoredJob:
    return StoredJob(rows.to_job(row["definition"]), int(row["created_at"]), row["project_id"])
