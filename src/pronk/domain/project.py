"""A project: the tenant that keys, files, batches and jobs belong to, and how much it may use."""

from __future__ import annotations

from typing import Final

import msgspec

from pronk.domain.ids import ProjectId

GLOB_PATTERN: Final = r"^(\*|[a-z0-9*?]+:.+)$"
"""What a glob of a project's list looks like: ``*``, or one that names its scheme; any other fits no reference."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much a project may use. None is the server's default, 0 no limit.

    Only batches that have not ended and are not being cancelled count, and of them only the requests that have no
    result yet. Days are those of UTC.
    """

    max_stored_bytes: int | None = None
    max_live_batches: int | None = None
    max_queued_requests: int | None = None
    max_requests_per_minute: int | None = None
    max_uploads_per_minute: int | None = None
    max_tokens_per_day: int | None = None

    def over(self, defaults: Limits) -> Limits:
        """Return these limits, with the defaults' where there is none of its own."""
        own = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(defaults, **own)


NO_LIMITS = Limits()


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project and its own limits.

    `allow` holds globs as a job's media policy has them: what all its jobs, imports, checks and small pictures may read,
    and where results of its own jobs may be copied. None sets no bounds.
    """

    id: ProjectId
    name: str
    created_at: int
    limits: Limits = NO_LIMITS
    allow: tuple[str, ...] | None = None
