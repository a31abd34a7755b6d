"""Marks that people put on lines, as they are remembered: a word for a line of a batch."""

from __future__ import annotations

from pronk.domain.ids import BatchId, ProjectId
from pronk.store.database import Database


class Marks:
    """Mark rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, project_id: ProjectId, batch_id: BatchId, line: int, mark: str | None, *, now: int
    ) -> None:
        """Mark a line in the place of what it was marked with; None takes the mark away."""
        values = {"project_id": project_id, "batch_id": batch_id, "line": line}
        if mark is None:
            await self._database.write(lambda tx: tx.run("delete_mark", **values))
        else:
            await self._database.write(lambda tx: tx.run("put_mark", mark=mark, now=now, **values))

    async def of_batch(self, project_id: ProjectId, batch_id: BatchId) -> dict[int, str]:
        """Return the marks of a batch by line; it has no more than lines."""
        values = {"project_id": project_id, "batch_id": batch_id}
        found = await self._database.read(lambda tx: tx.all("list_marks", **values))
        return {row["line"]: row["mark"] for row in found}
