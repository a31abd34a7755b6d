"""Whether the process lives, whether everything that a batch needs answers, and the metrics."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from pronk import telemetry
from pronk.api import documented, schemas
from pronk.api.auth import check_default_project, get_identity
from pronk.api.parts import Parts
from pronk.api.visitor import visitor_of
from pronk.domain.errors import OutageError, UnavailableError
from pronk.telemetry.outages import OUTAGES, part_of

SEEN_SECONDS: Final = 10.0

router = APIRouter(tags=["Health"])


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health(parts: Parts) -> schemas.Health:
    """The process answers."""
    return schemas.Health(version=parts.version)


@router.head("/ready", include_in_schema=False)
@router.get("/ready", responses=documented.PROBING)
async def ready(parts: Parts) -> schemas.Ready:
    """Database, storage and at least one worker answer; 503 says which of them does not, or what a worker waits for."""
    try:
        await parts.store.ping()
        workers = await parts.store.workers.count(since=parts.now() - SEEN_SECONDS)
        await parts.blobs.ping()
    except OutageError as error:
        OUTAGES.wait(part_of(error), ready, doing="answering /ready", error=str(error))
        raise UnavailableError(
            f"Not ready: the {part_of(error)} does not answer.", code="not_ready"
        ) from error
    OUTAGES.over(ready)
    for part in sorted({"database", "storage"}.intersection(parts.outages())):
        raise UnavailableError(f"Not ready: a worker waits for the {part}.", code="not_ready")
    if not workers:
        raise UnavailableError(
            f"Not ready: no worker was heard of in the last {SEEN_SECONDS:.0f} seconds; start one with `pronk worker`.",
            code="no_workers",
        )
    return schemas.Ready(workers=workers)


@router.get("/metrics", response_class=Response, responses=documented.METRICS)
async def metrics(request: Request, parts: Parts) -> Response:
    """Prometheus metrics of all processes, for this machine and for keys of the default project."""
    if not visitor_of(request).is_this_machine:
        check_default_project(await get_identity(request))
    return Response(await parts.scrape(), media_type=telemetry.CONTENT_TYPE)
