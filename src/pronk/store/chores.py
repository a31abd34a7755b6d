"""Housekeeping that one process does for all, and what it has to know."""

from __future__ import annotations

from pronk.domain.batch import TERMINAL
from pronk.store.database import Database


class Chores:
    """Chore rows, and questions that only housekeeping asks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, name: str, *, now: float, every: float) -> bool:
        """Return whether the chore is due and this caller is to do it; it is due again after `every` seconds."""
        values = {"name": name, "now": now, "next": now + every}
        return await self._database.write(lambda tx: tx.one("claim_chore", **values)) is not None

    async def has_file(self, file_id: str) -> bool:
        """Return whether a file of this id is remembered, in whichever project."""
        return await self._database.read(lambda tx: tx.one("find_any_file", id=file_id)) is not None

    async def needs_journal(self, batch_id: str) -> bool:
        """Return whether a batch has not ended, so that its journal is still needed."""
        row = await self._database.read(lambda tx: tx.one("find_batch_status", id=batch_id))
        return row is not None and row["status"] not in TERMINAL

    async def needs_facts(self, batch_id: str) -> bool:
        """Return whether a batch has not ended, or has result files."""
        row = await self._database.read(lambda tx: tx.one("find_result_file", id=batch_id))
        return row is not None or await self.needs_journal(batch_id)
