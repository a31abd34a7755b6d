"""Files by reference: an object of a store taken as a file, as if it had been uploaded."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter

from pronk.api import documented, schemas
from pronk.api.auth import Caller, Counted
from pronk.api.catalog import Catalog
from pronk.api.files import expiry, max_bytes, remember, to_wire
from pronk.api.parts import ApiParts, Parts
from pronk.api.receiving import clean_filename
from pronk.api.small import SmallBodies
from pronk.domain.errors import MediaError
from pronk.domain.file import File
from pronk.domain.ids import ProjectId, new_file_id
from pronk.domain.job import MediaPolicy, bounded
from pronk.media.policy import check_allowed
from pronk.media.whole import ANY, reference_of

router = APIRouter(prefix="/v1", tags=["Files"], route_class=SmallBodies)


@router.post("/files/import", responses=documented.CREATING, dependencies=[Counted])
async def import_file(body: schemas.ImportFile, project: Caller, parts: Parts) -> schemas.File:
    """Take an object of S3, Google Cloud Storage or Azure as a file. It streams to storage, with the limits of an upload.

    What may be imported is what `import_allow` names, or else what one of the caller's jobs may read.
    """
    try:
        policy = await _policy(parts, project, body.url)
        file = await _taken(parts, project, body, policy)
    except MediaError as error:
        raise MediaError(error.code, error.message, param="url", retriable=error.retriable) from error
    await remember(parts, file)
    return to_wire(file)


async def _taken(parts: ApiParts, project: ProjectId, body: schemas.ImportFile, policy: MediaPolicy) -> File:
    name = clean_filename(body.filename or body.url.rpartition("/")[2], "filename")
    limit = max_bytes(parts.settings, {"purpose": body.purpose})
    file_id, now = new_file_id(), parts.second
    blob, size, digest = f"files/{file_id}", 0, hashlib.sha256()
    async with parts.blobs.writer(blob) as writer:
        async for data in parts.resolver.whole.read(body.url, policy, limit):
            size += len(data)
            digest.update(data)
            await writer.write(data)
    seconds = body.expires_after.seconds if body.expires_after else None
    return File(
        id=file_id,
        project_id=project,
        purpose=body.purpose,
        filename=name,
        bytes=size,
        blob=blob,
        created_at=now,
        expires_at=expiry(parts.settings, body.purpose, seconds, now),
        sha256=digest.hexdigest(),
    )


async def _policy(parts: ApiParts, project: ProjectId, url: str) -> MediaPolicy:
    """Return a policy by which the object may be read. Raises MediaError where there is none."""
    if parts.settings.import_allow:
        bounds = await parts.store.projects.bounds_of(project)
        return bounded(MediaPolicy(allow=parts.settings.import_allow), bounds)
    reference = reference_of(url, ANY)
    refusal: MediaError | None = None
    async for entry in Catalog.of(parts, project).entries():
        policy = entry.job.media
        try:
            check_allowed(reference, policy)
        except MediaError as error:
            refusal = error
        else:
            return policy
    raise refusal or reference.failure("not_allowed", "is in no list of what may be read")
