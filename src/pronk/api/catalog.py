"""Which jobs there are for a caller: those of the settings file first, then those made over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Self

import msgspec

from pronk.api.names import JOB, checked_id, shown
from pronk.api.parts import ApiParts
from pronk.domain.errors import InvalidRequestError, NotFoundError
from pronk.domain.ids import JobId, ProjectId
from pronk.domain.job import DEFAULT_JOB, Job, within
from pronk.store.jobs import StoredJob
from pronk.store.store import Store

_PAGE = 100
_NAMED = 20


class Entry(msgspec.Struct, frozen=True):
    """A job and when it was made, None for one of the settings file. `is_lent` when another project shares it.

    `defined` is the job as somebody wrote it, to be shown and changed; `bounds` are what the caller's project may read at all.
    """

    defined: Job
    created_at: int | None
    is_lent: bool = False
    bounds: tuple[str, ...] | None = None

    @property
    def job(self) -> Job:
        """The job as the caller's project may use it."""
        return within(self.defined, self.bounds)


class Catalog:
    """The jobs that one project may use."""

    def __init__(self, configured: Mapping[str, Job], store: Store, project: ProjectId) -> None:
        self._configured = configured
        self._stored = store.jobs
        self._projects = store.projects
        self._project = project

    @classmethod
    def of(cls, parts: ApiParts, project: ProjectId) -> Self:
        """Return the jobs of a project on this server."""
        return cls(parts.settings.jobs, parts.store, project)

    async def get(self, job_id: str) -> Entry:
        """Return a job. Raises NotFoundError with the code job_not_found."""
        configured = self.find_configured(checked_id(JOB, job_id))
        bounds = await self._projects.bounds_of(self._project)
        if configured is not None:
            return Entry(configured, None, bounds=bounds)
        stored = await self._stored.find(self._project, job_id)
        if stored is None:
            raise NotFoundError(f"No such job: {shown(job_id)}.", param="job_id", code="job_not_found")
        return self._entry(stored, bounds)

    def find_configured(self, job_id: str) -> Job | None:
        """Return a job of the settings file as it stands there, if the project may use it; others have no name here."""
        job = self._configured.get(JobId(job_id))
        return job if job is not None and self._may_use(job) else None

    async def entries(self) -> AsyncIterator[Entry]:
        """Yield every job: the settings file's in its order, then the others by id."""
        bounds = await self._projects.bounds_of(self._project)
        usable = {job_id: job for job_id, job in self._configured.items() if self._may_use(job)}
        for job in usable.values():
            yield Entry(job, None, bounds=bounds)
        after = ""
        while page := await self._stored.page(self._project, after=after, limit=_PAGE):
            for stored in page:
                if stored.job.id not in usable:
                    yield self._entry(stored, bounds)
            after = page[-1].job.id

    async def find_for_model(self, model: str | None) -> Job | None:
        """Return the first job with this model, else the default job where the settings have it."""
        if model is not None:
            async for entry in self.entries():
                if entry.job.model == model:
                    return entry.job
        usual = self.find_configured(DEFAULT_JOB)
        return None if usual is None else within(usual, await self._projects.bounds_of(self._project))

    async def for_lines(self, model: str | None) -> Job:
        """Return the job of a batch that names none, from the model of its first line (None when it has none).

        Where no model can be seen and there is one job, it is that one: its own checks then say what is wrong.
        Raises InvalidRequestError that lists the jobs.
        """
        found = await self.find_for_model(model)
        if found is not None:
            return found
        known = [entry.job async for entry in self.entries()]
        if model is None and len(known) == 1:
            return known[0]
        what = (
            "no model can be read from the first line"
            if model is None
            else f"no job has the model {shown(model)}"
        )
        raise InvalidRequestError(
            f"'job_id' is missing and {what}; name one of the jobs: {_list(known)}.",
            param="job_id",
            code="missing_required_parameter" if model is None else "model_not_found",
        )

    def _may_use(self, job: Job) -> bool:
        return job.shared_with is None or job.is_shared_with(self._project)

    def _entry(self, stored: StoredJob, bounds: tuple[str, ...] | None) -> Entry:
        """Who borrows a job does not hand its results to the lender, unless the job says so."""
        is_lent = stored.owner != self._project
        keeps = not is_lent or stored.job.output_of_others
        job = stored.job if keeps else msgspec.structs.replace(stored.job, output=None)
        return Entry(job, stored.created_at, is_lent=is_lent, bounds=bounds)


def _list(jobs: list[Job]) -> str:
    named = ", ".join(f"{job.id} ({job.model or 'any model'})" for job in jobs[:_NAMED])
    return f"{named}, …" if len(jobs) > _NAMED else named or "there are none yet"
