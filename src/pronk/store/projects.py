"""Projects, as they are remembered, and what they use of their limits."""

from __future__ import annotations

import msgspec

from pronk.domain.errors import ConflictError, NotFoundError
from pronk.domain.ids import ProjectId
from pronk.domain.project import Limits, Project
from pronk.store import rows
from pronk.store.database import Database, Transaction
from pronk.store.quotas import DAY_SECONDS, Quotas, add_tokens, tokens_used, used


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """How much a project uses now."""

    stored_bytes: int
    live_batches: int
    queued_requests: int
    tokens_today: int


class Projects:
    """Project rows."""

    def __init__(self, database: Database, quotas: Quotas) -> None:
        self._database = database
        self._quotas = quotas

    async def add(self, project: Project) -> None:
        """Remember a project; ConflictError when its name is taken."""
        own = {"limits": rows.to_json(project.limits), "allow": rows.to_json(project.allow)}
        values = msgspec.structs.asdict(project) | own
        if not await self._database.write(lambda tx: tx.run("insert_project", **values)):
            raise _taken(project.name)

    async def get(self, project_id: str) -> Project:
        """Return a project."""
        row = await self._database.read(lambda tx: tx.one("find_project", id=project_id))
        if row is None:
            raise NotFoundError(f"No such project: {project_id!r}.", param="project_id", code="not_found")
        return rows.to_project(row)

    async def find_by_name(self, name: str) -> Project | None:
        """Return the project of this name."""
        row = await self._database.read(lambda tx: tx.one("find_project_by_name", name=name))
        return rows.to_project(row) if row else None

    async def page(self, *, after: str = "", limit: int = 100) -> list[Project]:
        """Return up to `limit` projects after `after`, by id."""
        found = await self._database.read(lambda tx: tx.all("list_projects", after=after, limit=limit))
        return [rows.to_project(row) for row in found]

    async def update(
        self, project_id: ProjectId, *, name: str | None = None, limits: Limits | None = None
    ) -> Project:
        """Change what is not None. Raises NotFoundError, or ConflictError when another project has the name."""
        values = {"id": project_id, "name": name, "limits": rows.to_json(limits) if limits else None}
        row = await self._database.write(lambda tx: tx.one("update_project", allow=None, **values))
        if row is None:
            await self.get(project_id)
            raise _taken(name or "")
        return rows.to_project(row)

    async def bound(self, project_id: ProjectId, allow: tuple[str, ...] | None) -> Project:
        """Say what a project may read at all; None sets no bounds. Raises NotFoundError."""
        values = {"id": project_id, "name": None, "limits": None, "allow": rows.to_json(allow)}
        row = await self._database.write(lambda tx: tx.one("update_project", **values))
        return await self.get(project_id) if row is None else rows.to_project(row)

    async def bounds_of(self, project_id: ProjectId) -> tuple[str, ...] | None:
        """Return what a project may read at all, None for everything."""
        row = await self._database.read(lambda tx: tx.one("find_project", id=project_id))
        return rows.to_allow(row["allow"]) if row else None

    async def use(self, project_id: ProjectId, *, now: float) -> Use:
        """Count what a project uses."""

        def work(tx: Transaction) -> Use:
            return Use(
                stored_bytes=used(tx, "sum_stored_bytes", project_id=project_id, now=int(now)),
                live_batches=used(tx, "count_live_batches", project_id=project_id),
                queued_requests=used(tx, "count_queued_requests", project_id=project_id),
                tokens_today=tokens_used(tx, project_id, now),
            )

        return await self._database.read(work)

    async def check_today(self, project_id: ProjectId, *, now: float) -> int:
        """Return how many tokens a project has used today. Raises RateLimitError when that is all there are."""
        return await self._database.read(lambda tx: self._quotas.check_today(tx, project_id, now))

    async def add_tokens(self, project_id: ProjectId, tokens: int, *, now: float) -> None:
        """Count the tokens of a request that was answered at once."""
        await self._database.write(lambda tx: add_tokens(tx, project_id, tokens, now))

    async def forget_tokens(self, *, before: float) -> None:
        """Forget the days that are over since `before`."""
        await self._database.write(lambda tx: tx.run("forget_tokens", before=int(before // DAY_SECONDS)))


def _taken(name: str) -> ConflictError:
    return ConflictError(f"A project with the name {name!r} exists.", param="name", code="project_exists")
