"""Jobs: those of the settings file, to look at; others to make, change and delete."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from pronk.api import documented, schemas
from pronk.api.audit import Audit
from pronk.api.auth import Caller
from pronk.api.catalog import Catalog, Entry
from pronk.api.names import JOB, checked_cursor, checked_id, shown
from pronk.api.outputs import check_folder
from pronk.api.parts import ApiParts, Parts
from pronk.api.small import SmallBodies
from pronk.domain.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionDeniedError
from pronk.domain.ids import DEFAULT_PROJECT, JobId, ProjectId, new_id
from pronk.domain.job import Job, MediaPolicy, Price
from pronk.domain.window import UNLIMITED, window_seconds

router = APIRouter(prefix="/v1", tags=["Jobs"], route_class=SmallBodies)


class _Defaults(msgspec.Struct):
    """The one member of a job whose bytes are kept as they came."""

    defaults: dict[str, msgspec.Raw] | None = None


async def check_may_define(project: Caller, parts: Parts) -> None:
    """Raise PermissionDeniedError where only the default project defines jobs: they say what the server's role reads."""
    if project != DEFAULT_PROJECT and not parts.settings.allow_project_jobs:
        raise PermissionDeniedError(
            "On this server only the default project makes and changes jobs.", code="jobs_are_fixed"
        )


_Definer = Depends(check_may_define)


@router.post("/jobs", response_model=schemas.Job, responses=documented.CREATING, dependencies=[_Definer])
async def create_job(
    body: schemas.CreateJob, request: Request, project: Caller, parts: Parts, audit: Audit
) -> Response:
    """Make a job."""
    job_id = JobId(body.id or new_id("job-"))
    if _catalog(parts, project).find_configured(job_id) is not None:
        raise ConflictError(
            f"A job with the id {job_id!r} is in the settings.", param="id", code="job_exists"
        )
    blank = Job(id=job_id, engine=_usual_pool(parts))
    job = _changed(blank, body, _read_defaults(await request.body()))
    await _check(job, project, parts)
    now = parts.second
    await parts.store.jobs.add(project, job, now=now)
    await audit.note("job.create", job.id)
    return _answer(Entry(job, now))


@router.get("/jobs", response_model=schemas.JobList, responses=documented.LISTING)
async def list_jobs(query: Annotated[schemas.JobQuery, Query()], project: Caller, parts: Parts) -> Response:
    """List jobs, those of the settings file first."""
    cursor = checked_cursor(JOB, query.after)
    found: list[Entry] = []
    is_before = cursor is not None
    async for entry in _catalog(parts, project).entries():
        if not is_before:
            found.append(entry)
        if len(found) > query.limit:
            break
        is_before = is_before and entry.job.id != cursor
    shown_jobs = found[: query.limit]
    page = {
        "object": "list",
        "data": [_to_wire(entry) for entry in shown_jobs],
        "first_id": shown_jobs[0].job.id if shown_jobs else None,
        "last_id": shown_jobs[-1].job.id if shown_jobs else None,
        "has_more": len(found) > query.limit,
    }
    return Response(msgspec.json.encode(page), media_type="application/json")


@router.get("/jobs/{job_id}", response_model=schemas.Job, responses=documented.LOOKING)
async def get_job(job_id: str, project: Caller, parts: Parts) -> Response:
    """Look at a job."""
    return _answer(await _catalog(parts, project).get(job_id))


@router.patch(
    "/jobs/{job_id}", response_model=schemas.Job, responses=documented.CHANGING, dependencies=[_Definer]
)
async def update_job(
    job_id: str, body: schemas.JobFields, request: Request, project: Caller, parts: Parts, *, audit: Audit
) -> Response:
    """Replace members of a job. Batches that exist keep the job as it was when they were created."""
    entry = await _stored(parts, project, job_id)
    job = _changed(entry.defined, body, _read_defaults(await request.body()))
    await _check(job, project, parts)
    if not await parts.store.jobs.update(project, job, now=parts.second):
        raise _not_found(job_id)
    await audit.note("job.update", job.id)
    return _answer(Entry(job, entry.created_at))


@router.delete("/jobs/{job_id}", responses=documented.CHANGING, dependencies=[_Definer])
async def delete_job(job_id: str, project: Caller, parts: Parts, audit: Audit) -> schemas.JobDeleted:
    """Delete a job that no live batch uses."""
    entry = await _stored(parts, project, job_id)
    if not await parts.store.jobs.delete(project, entry.job.id):
        await _stored(parts, project, job_id)
        raise ConflictError(
            f"Job {job_id!r} is used by a batch that has not ended; cancel that batch or wait for its end.",
            param="job_id",
            code="job_in_use",
        )
    await audit.note("job.delete", entry.job.id)
    return schemas.JobDeleted(id=entry.job.id)


def _catalog(parts: ApiParts, project: ProjectId) -> Catalog:
    return Catalog.of(parts, project)


async def _stored(parts: ApiParts, project: ProjectId, job_id: str) -> Entry:
    entry = await _catalog(parts, project).get(checked_id(JOB, job_id))
    if entry.created_at is None or entry.is_lent:
        where = "in the settings file" if entry.created_at is None else "by another project"
        raise ConflictError(
            f"Job {job_id!r} is defined {where} and can be changed only there.",
            param="job_id",
            code="job_read_only",
        )
    return entry


def _not_found(job_id: str) -> NotFoundError:
    return NotFoundError(f"No such job: {shown(job_id)}.", param="job_id", code="job_not_found")


def _read_defaults(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(body, type=_Defaults).defaults or {}
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise InvalidRequestError(f"The body is not valid JSON: {error}.", code="invalid_json") from error


def _changed(job: Job, body: schemas.JobFields, defaults: dict[str, msgspec.Raw]) -> Job:
    """Return the job with the members that the body names; null puts a member back to what a new job has."""
    new: dict[str, Any] = {}
    for name in body.model_fields_set - {"id", "defaults", "price", "media", "engine", "shared_with"}:
        new[name] = getattr(body, name)
    if "defaults" in body.model_fields_set:
        new["defaults"] = {name: msgspec.Raw(bytes(raw)) for name, raw in defaults.items()}
    if "shared_with" in body.model_fields_set:
        new["shared_with"] = None if body.shared_with is None else tuple(body.shared_with)
    if "price" in body.model_fields_set:
        new["price"] = Price(**body.price.model_dump()) if body.price else None
    if "media" in body.model_fields_set:
        new["media"] = msgspec.convert(body.media.model_dump(), MediaPolicy)
    if body.engine is not None:
        new["engine"] = body.engine
    return msgspec.structs.replace(job, **new)


async def _check(job: Job, project: ProjectId, parts: ApiParts) -> None:
    if job.engine not in parts.settings.engines:
        known = ", ".join(parts.settings.engines)
        raise NotFoundError(
            f"'engine' is {shown(job.engine)}; it has to be one of the pools: {known}.",
            param="engine",
            code="not_found",
        )
    check_folder(job.output, parts.settings.output_allow, await parts.store.projects.bounds_of(project))
    try:
        window_seconds(UNLIMITED if job.completion_window is None else job.completion_window)
    except ValueError as error:
        raise InvalidRequestError(str(error), param="completion_window", code="invalid_value") from error


def _usual_pool(parts: ApiParts) -> str:
    """The pool of a job that names none: ``default``, or the only one there is."""
    engines = parts.settings.engines
    return next(iter(engines)) if len(engines) == 1 else "default"


def _answer(entry: Entry) -> Response:
    return Response(msgspec.json.encode(_to_wire(entry)), media_type="application/json")


def _to_wire(entry: Entry) -> dict[str, object]:
    job = entry.defined
    return {
        "id": job.id,
        "object": "job",
        "created_at": entry.created_at,
        "source": "shared" if entry.is_lent else "settings" if entry.created_at is None else "api",
        "model": job.model,
        "engine": job.engine,
        "use_case": job.use_case,
        "output": job.output,
        "output_of_others": job.output_of_others,
        "completion_window": job.completion_window,
        "priority": job.priority,
        "defaults": job.defaults,
        "price": job.price,
        "media": job.media,
        "shared_with": None if entry.is_lent or entry.created_at is None else job.shared_with,
    }
