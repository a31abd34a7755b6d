"""Jobs, engines, settings in force, and what each code means."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from pronk.api.catalog import Catalog
from pronk.console.codes import every_code, explain
from pronk.console.desk import TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.domain.errors import NotFoundError, PermissionDeniedError
from pronk.domain.ids import DEFAULT_PROJECT

router = APIRouter(route_class=Guarded, include_in_schema=False)


@router.get("/jobs")
async def show_jobs(request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """Every job that the caller may use."""
    catalog = Catalog.of(desk.parts, viewer.project)
    entries = [entry async for entry in catalog.entries()]
    shown = [(entry.defined, entry.created_at, _json(entry.defined)) for entry in entries]
    may_define = viewer.project == DEFAULT_PROJECT or desk.parts.settings.allow_project_jobs
    return desk.pages.show(request, "jobs.html", jobs=shown, may_define=may_define)


@router.get("/engines")
async def show_engines(request: Request, desk: TheDesk) -> Response:
    """Every pool and how its replicas stand, as this server sees them."""
    workers = await desk.parts.store.workers.count(since=desk.parts.now() - 10)
    pools = [_pool(name, pool) for name, pool in desk.pools.items()]
    specs = desk.parts.settings.engines
    waiting = await desk.parts.store.batches.count_by_status()
    return desk.pages.show(
        request, "engines.html", pools=pools, specs=specs, workers=workers, waiting=waiting
    )


@router.get("/settings")
async def show_settings(request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """The settings in force, for operators; passwords and keys are not among what can be shown."""
    if not viewer.is_operator:
        raise PermissionDeniedError(
            "Settings are for administrators of the default project.", code="insufficient_scope"
        )
    settings = desk.parts.settings
    plain = {name: _shown(getattr(settings, name)) for name in settings.__struct_fields__}
    return desk.pages.show(request, "settings.html", settings=plain)


@router.get("/errors")
async def show_codes(request: Request, desk: TheDesk) -> Response:
    """All codes."""
    return desk.pages.show(request, "codes.html", codes=every_code())


@router.get("/errors/{code}")
async def show_code(code: str, request: Request, desk: TheDesk) -> Response:
    """One code."""
    known = explain(code)
    if known.owner == "nobody" and known.title == code:
        raise NotFoundError("There is no such code.", code="not_found")
    return desk.pages.show(request, "code.html", known=known)


def _pool(name: str, pool: Any) -> dict[str, Any]:
    replicas = [
        {
            "name": replica.name,
            "is_up": replica.is_up,
            "in_flight": replica.in_flight,
            "limit": replica.limit,
            "is_fixed": replica.limiter.is_fixed,
        }
        for replica in getattr(pool, "replicas", ())
    ]
    return {"name": name, "replicas": replicas, "is_out": getattr(pool, "is_out", False)}


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _shown(value: Any) -> str:
    """Return a setting as text. A secret prints itself as hidden."""
    if isinstance(value, (dict, tuple)):
        return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()
    return str(value)
