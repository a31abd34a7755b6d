"""Marks that people put on lines, as they are remembered: a word for a line of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from pronk.domain.ids import BatchId, ProjectId
from pronk.store.database import Database, Transaction

_AT_ONCE: Final = 1000


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

    async def put_all(
        self, project_id: ProjectId, batch_id: BatchId, lines: Sequence[int], mark: str | None, *, now: int
    ) -> None:
        """Mark many lines alike, some at a time, so that nobody waits long; None takes their marks away."""
        for start in range(0, len(lines), _AT_ONCE):
            some = lines[start : start + _AT_ONCE]
            values: list[dict[str, object]] = [
                {"project_id": project_id, "batch_id": batch_id, "line": line} for line in some
            ]
            if mark is None:
                await self._database.write(partial(_many, "delete_mark", values))
            else:
                marked = [{**one, "mark": mark, "now": now} for one in values]
                await self._database.write(partial(_many, "put_mark", marked))

    async def of_batch(self, project_id: ProjectId, batch_id: BatchId) -> dict[int, str]:
        """Return the marks of a batch by line; it has no more than lines."""
        values = {"project_id": project_id, "batch_id": batch_id}
        found = await self._database.read(lambda tx: tx.all("list_marks", **values))
        return {row["line"]: row["mark"] for row in found}


def _many(query: str, values: list[dict[str, object]], tx: Transaction) -> None:
    tx.many(query, values)
