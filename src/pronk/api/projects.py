"""Projects: make, list, look at, change."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query

from pronk.api import documented, schemas
from pronk.api.audit import Audit
from pronk.api.auth import Admin, Operator, visible_project
from pronk.api.names import PROJECT, checked_cursor, checked_id
from pronk.api.paging import to_page
from pronk.api.parts import Parts
from pronk.api.small import SmallBodies
from pronk.domain.ids import ProjectId, new_project_id
from pronk.domain.project import Limits, Project
from pronk.store.projects import Use

router = APIRouter(prefix="/v1", tags=["Keys and projects"], route_class=SmallBodies)


@router.post("/projects", responses=documented.CREATING)
async def create_project(
    body: schemas.CreateProject, _: Operator, parts: Parts, audit: Audit
) -> schemas.Project:
    """Make a project. It takes a key of the default project."""
    project = Project(
        id=new_project_id(),
        name=body.name,
        created_at=parts.second,
        limits=Limits(**body.limits.model_dump()),
        allow=None if body.allow is None else tuple(body.allow),
    )
    await parts.store.projects.add(project)
    await audit.note("project.create", project.id)
    return _to_wire(project)


@router.get("/projects", responses=documented.LISTING)
async def list_projects(
    query: Annotated[schemas.ProjectQuery, Query()], identity: Admin, parts: Parts
) -> schemas.ProjectList:
    """List projects: all for administrators of the default project, else the caller's own."""
    after = checked_cursor(PROJECT, query.after) or ""
    if identity.is_operator:
        found = await parts.store.projects.page(after=after, limit=query.limit + 1)
    else:
        found = [await parts.store.projects.get(identity.project_id)] if after < identity.project_id else []
    return to_page(schemas.ProjectList, found, query.limit, _to_wire)


@router.get("/projects/{project_id}", responses=documented.LOOKING)
async def get_project(project_id: str, identity: Admin, parts: Parts) -> schemas.Project:
    """Look at a project, its limits and what it uses of them."""
    known = visible_project(identity, project_id) or identity.project_id
    project = await parts.store.projects.get(known)
    return _to_wire(project, await parts.store.projects.use(project.id, now=parts.now()))


@router.patch("/projects/{project_id}", responses=documented.CHANGING)
async def update_project(
    project_id: str, body: schemas.ProjectFields, _: Operator, parts: Parts, audit: Audit
) -> schemas.Project:
    """Change a project's name, its limits and what it may read. It takes a key of the default project."""
    known = ProjectId(checked_id(PROJECT, project_id))
    limits = (await parts.store.projects.get(known)).limits
    if body.limits is not None:
        limits = msgspec.structs.replace(limits, **body.limits.model_dump(exclude_unset=True))
    project = await parts.store.projects.update(known, name=body.name, limits=limits)
    if "allow" in body.model_fields_set:
        project = await parts.store.projects.bound(known, None if body.allow is None else tuple(body.allow))
    await audit.note("project.update", project.id)
    return _to_wire(project)


def _to_wire(project: Project, use: Use | None = None) -> schemas.Project:
    return schemas.Project(
        id=project.id,
        name=project.name,
        created_at=project.created_at,
        limits=schemas.Limits(**msgspec.structs.asdict(project.limits)),
        allow=None if project.allow is None else list(project.allow),
        use=schemas.Use(**msgspec.structs.asdict(use)) if use else None,
    )
