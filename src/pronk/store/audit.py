"""The audit log, as it is remembered."""

from __future__ import annotations

import msgspec

from pronk.domain.event import Event
from pronk.domain.ids import ProjectId
from pronk.store import rows
from pronk.store.database import LAST, Database


class Audit:
    """Event rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, event: Event) -> None:
        """Remember an event."""
        values = msgspec.structs.asdict(event)
        await self._database.write(lambda tx: tx.run("insert_event", **values))

    async def page(
        self,
        project_id: ProjectId | None,
        *,
        after: str | None = None,
        limit: int = 100,
        action: str | None = None,
    ) -> list[Event]:
        """Return up to `limit` events of a project, or of all (None), that are older than `after`, newest first."""
        query = "list_events" if project_id is None else "list_events_of_project"
        values: dict[str, object] = {"after": after or LAST, "limit": limit, "action": action}
        if project_id is not None:
            values["project_id"] = project_id
        found = await self._database.read(lambda tx: tx.all(query, **values))
        return [rows.to_event(row) for row in found]

    async def forget(self, *, before: int) -> int:
        """Forget events up to a moment; return how many there were."""
        return await self._database.write(lambda tx: tx.run("forget_events", before=before))
