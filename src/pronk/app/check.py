"""A preflight in this process, without a server: the same checks, with this machine's settings and credentials."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self

import anyio
import msgspec

from pronk.app import entry
from pronk.app.carry import chunks_of
from pronk.app.parts import open_media
from pronk.app.run import endpoint_of, job_of
from pronk.domain.batch import Batch, BatchStatus
from pronk.domain.errors import NotFoundError
from pronk.domain.ids import DEFAULT_PROJECT, FileId, new_batch_id
from pronk.domain.job import Job
from pronk.domain.window import UNLIMITED
from pronk.lifecycle.check import Check, Fees, Looked, Report
from pronk.lifecycle.intake import Limits
from pronk.media.regions import NoMemory
from pronk.settings import Settings


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What to check: a file of requests, for which job, and where every reference is to be told as a line of JSON."""

    input: Path
    job_id: str | None = None
    endpoint: str | None = None
    details: Path | None = None


def check_file(settings: Settings, wanted: Checked) -> tuple[Job, Report]:
    """Return the report on a file, and the job it was checked for. Raises NotFoundError, InvalidRequestError."""
    return entry.run(settings, _check, settings, wanted)


async def _check(settings: Settings, wanted: Checked) -> tuple[Job, Report]:
    job = _job(settings, wanted.job_id)
    batch = Batch(
        id=new_batch_id(),
        project_id=DEFAULT_PROJECT,
        status=BatchStatus.VALIDATING,
        endpoint=wanted.endpoint or endpoint_of(wanted.input),
        input_file_id=FileId(wanted.input.name),
        completion_window=UNLIMITED,
        job=job,
        created_at=int(time.time()),
    )
    async with open_media(settings, NoMemory()) as resolver:
        fees = Fees(
            home_region=settings.home_region or await resolver.home_region(),
            price_per_gb=settings.cross_region_price_per_gb,
        )
        check = Check(resolver, Limits.of(settings), fees)
        async with _Details(wanted.details) as details:
            return job, await check(batch, chunks_of(wanted.input), details.add)


def _job(settings: Settings, job_id: str | None) -> Job:
    if job_id is None:
        return job_of(settings)
    if job_id not in settings.jobs:
        known = ", ".join(settings.jobs) or "there are none in the settings"
        raise NotFoundError(f"No such job: {job_id!r}; known: {known}.", code="job_not_found")
    return settings.jobs[job_id]


class _Details:
    """Writes every reference as a line of JSON, where that is wanted."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: anyio.AsyncFile[bytes] | None = None

    async def __aenter__(self) -> Self:
        if self._path is not None:
            self._file = await anyio.open_file(self._path, "wb")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._file is not None:
            with anyio.CancelScope(shield=True):
                await self._file.aclose()

    async def add(self, looked: Looked) -> None:
        if self._file is not None:
            await self._file.write(msgspec.json.encode(looked) + b"\n")
