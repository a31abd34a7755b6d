"""Where the results of a job may be copied: what the settings name, within what the job's project may reach."""

from __future__ import annotations

from pronk.api.catalog import Catalog
from pronk.api.names import shown
from pronk.api.parts import ApiParts
from pronk.domain.errors import InvalidRequestError, MediaError
from pronk.domain.ids import ProjectId
from pronk.domain.job import Job
from pronk.media.policy import fits, is_odd_key
from pronk.media.whole import ANY, reference_of


def check_folder(output: str | None, allowed: tuple[str, ...], bounds: tuple[str, ...] | None) -> None:
    """Raise InvalidRequestError for a folder that callers may not have results copied to."""
    if output is None:
        return
    try:
        place = reference_of(f"{output.rstrip('/')}/results.jsonl", ANY)
    except MediaError:
        raise _refusal(
            output, "which is no folder in an object store; write one such as 's3://bucket/prefix'"
        ) from None
    if is_odd_key(place.key) or not fits(place.text, allowed):
        raise _refusal(output, "which is not below a folder that the setting output_allow names")
    if bounds is not None and not fits(place.text, bounds):
        raise _refusal(output, "which is not in the list of what this project may reach")


async def check_output(parts: ApiParts, project: ProjectId, job: Job) -> None:
    """Raise InvalidRequestError where results of a batch would be copied out of what the job's project may reach by now.

    Jobs of the settings file say themselves where results go.
    """
    if job.output is None or Catalog.of(parts, project).find_configured(job.id) is not None:
        return
    stored = await parts.store.jobs.find(project, job.id)
    bounds = await parts.store.projects.bounds_of(stored.owner if stored else project)
    if bounds is not None and not fits(f"{job.output.rstrip('/')}/results.jsonl", bounds):
        raise InvalidRequestError(
            f"Job {job.id!r} copies results to {shown(job.output)}, which is not in the list of what its project may "
            "reach; change the job's 'output'.",
            param="job_id",
            code="output_not_allowed",
        )


def _refusal(output: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"'output' is {shown(output)}, {why}.", param="output", code="output_not_allowed"
    )
