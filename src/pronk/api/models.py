"""The models of all jobs."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import APIRouter

from pronk.api import documented, schemas
from pronk.api.auth import Caller
from pronk.api.catalog import Catalog
from pronk.api.names import shown
from pronk.api.parts import ApiParts, Parts
from pronk.domain.errors import NotFoundError
from pronk.domain.ids import ProjectId
from pronk.domain.job import Job

router = APIRouter(prefix="/v1", tags=["Models"])


@router.get("/models", responses=documented.LISTING)
async def list_models(project: Caller, parts: Parts) -> schemas.ModelList:
    """List the models of all jobs."""
    return schemas.ModelList(data=list((await _models(parts, project)).values()))


@router.get("/models/{model:path}", responses=documented.LOOKING)
async def get_model(model: str, project: Caller, parts: Parts) -> schemas.Model:
    """Look at a model; its name may hold slashes."""
    found = (await _models(parts, project)).get(model)
    if found is None:
        raise NotFoundError(f"No job serves the model {shown(model)}.", param="model", code="model_not_found")
    return found


async def _models(parts: ApiParts, project: ProjectId) -> dict[str, schemas.Model]:
    models: dict[str, schemas.Model] = {}
    async for entry in Catalog.of(parts, project).entries():
        for name in await _models_of(parts, entry.job):
            if name not in models:
                models[name] = schemas.Model(id=name, created=entry.created_at or 0)
    return models


async def _models_of(parts: ApiParts, job: Job) -> Collection[str]:
    """Return the job's model; of a job that takes any, those that its engine serves, or was launched with."""
    if job.model is not None:
        return (job.model,)
    pool, engine = parts.pools.get(job.engine), parts.settings.engines.get(job.engine)
    named = (engine.model,) if engine is not None and engine.model is not None else ()
    return (await pool.models() if pool is not None else ()) or named
