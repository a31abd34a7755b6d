"""A job: a named model with its engine, defaults, price and media policy. Not a batch."""

from __future__ import annotations

from typing import Literal

import msgspec

from pronk.domain.ids import JobId
from pronk.domain.usage import Usage

Deliver = Literal["auto", "data", "file", "presign", "native"]

DEFAULT_JOB = JobId("job-default")
"""The job of a server that was told only of engines; it takes any model."""


class MediaPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which references a job may read, and how much of them.

    `allow` holds globs over whole references (``s3://parts/*``, ``https://img.example.org/*``); None means every
    ``s3://``, ``gs://``, ``az://``, ``https://`` and ``data:`` reference, an empty tuple means none. An ``http://`` or
    ``file://`` reference is read only where the server's settings serve it and a glob names its scheme (``http://…``,
    ``file://…``); ``*`` does not. The pages of a document that a reference names are no part of what globs see.
    `document_dpi` is the resolution of rendered pages, lowered for those that would have over `max_pixels`.
    """

    allow: tuple[str, ...] | None = None
    deliver: Deliver = "auto"
    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    max_references: int = 500
    resize_to_pixels: int = 0
    document_dpi: int = 150

    @property
    def lists(self) -> tuple[tuple[str, ...], ...]:
        """The lists of globs that a reference must fit, each of them."""
        return () if self.allow is None else (self.allow,)


class BoundPolicy(MediaPolicy, frozen=True, kw_only=True):
    """A job's policy within what the project that uses the job may read at all (`bounds`, globs as in `allow`).

    ``data:`` URLs carry their own bytes: bounds are not about them. Never stored with a job, always taken from the project.
    """

    bounds: tuple[str, ...]

    @property
    def lists(self) -> tuple[tuple[str, ...], ...]:
        """The lists of globs that a reference must fit, each of them."""
        return (self.bounds,) if self.allow is None else (self.allow, self.bounds)


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars for a million tokens."""

    input_per_1m: float = 0.0
    output_per_1m: float = 0.0
    cached_input_per_1m: float | None = None

    def cost(self, usage: Usage) -> float:
        """Return the dollars for these tokens; cached input costs its own price where one is set."""
        cached_price = self.input_per_1m if self.cached_input_per_1m is None else self.cached_input_per_1m
        fresh = usage.input_tokens - usage.cached_tokens
        dollars = fresh * self.input_per_1m + usage.cached_tokens * cached_price
        return (dollars + usage.output_tokens * self.output_per_1m) / 1_000_000


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A named model and its settings. A batch keeps a copy, so a later change never reaches it.

    `model` None takes any model. `defaults` are merged into bodies that do not set them. `shared_with` are the ids of other
    projects that may use it, ``*`` for all; None is nobody else for a job made over HTTP, all for one of the settings.
    `output` gets copies of result files; of batches of other projects only where `output_of_others` says so, or where the
    job is one of the settings.
    """

    id: JobId
    model: str | None = None
    engine: str = "default"
    use_case: str | None = None
    completion_window: str | None = None
    priority: int = 0
    defaults: dict[str, msgspec.Raw] = {}
    price: Price | None = None
    media: MediaPolicy = MediaPolicy()
    output: str | None = None
    output_of_others: bool = False
    shared_with: tuple[str, ...] | None = None

    def is_shared_with(self, project_id: str) -> bool:
        """Return whether a project is named among those that may use it."""
        return self.shared_with is not None and ("*" in self.shared_with or project_id in self.shared_with)


def bounded(policy: MediaPolicy, bounds: tuple[str, ...] | None) -> MediaPolicy:
    """Return a policy within a project's bounds; None leaves it as it is."""
    if bounds is None:
        return policy
    own = {field: getattr(policy, field) for field in MediaPolicy.__struct_fields__}
    return BoundPolicy(**own, bounds=bounds)


def within(job: Job, bounds: tuple[str, ...] | None) -> Job:
    """Return a job as a project with these bounds may use it."""
    return job if bounds is None else msgspec.structs.replace(job, media=bounded(job.media, bounds))
