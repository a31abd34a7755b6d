"""Addresses of the console that people gave a name, as they are remembered."""

from __future__ import annotations

from pronk.domain.ids import ProjectId
from pronk.store.database import Database


class Views:
    """View rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, project_id: ProjectId, name: str, address: str, *, now: int) -> None:
        """Give an address a name, in the place of what had it."""
        values = {"project_id": project_id, "name": name, "address": address, "now": now}
        await self._database.write(lambda tx: tx.run("put_view", **values))

    async def delete(self, project_id: ProjectId, name: str) -> None:
        """Forget a name; one that is not there is fine."""
        await self._database.write(lambda tx: tx.run("delete_view", project_id=project_id, name=name))

    async def of_project(self, project_id: ProjectId) -> dict[str, str]:
        """Return the addresses of a project by name."""
        found = await self._database.read(lambda tx: tx.all("list_views", project_id=project_id))
        return {row["name"]: row["address"] for row in found}
