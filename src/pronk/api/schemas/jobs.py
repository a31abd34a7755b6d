"""Jobs on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pronk.api import examples
from pronk.api.names import JOB
from pronk.api.schemas.base import In, Integer, Out, Seconds, Text, Window, after_of


class Price(In):
    """US dollars for a million tokens."""

    model_config = ConfigDict(extra="forbid")

    input_per_1m: float = Field(0.0, ge=0, allow_inf_nan=False)
    output_per_1m: float = Field(0.0, ge=0, allow_inf_nan=False)
    cached_input_per_1m: float | None = Field(None, ge=0, allow_inf_nan=False)


class MediaPolicy(In):
    """Which references a job may read, and how much of them."""

    model_config = ConfigDict(extra="forbid")

    allow: list[Text] | None = Field(
        default=None,
        max_length=1000,
        description="Globs over references; null allows all but http:// and file://.",
    )
    deliver: Literal["auto", "data", "file", "presign", "native"] = "auto"
    max_bytes: Integer = Field(default=20_000_000, ge=1, le=2**40)
    max_pixels: Integer = Field(default=50_000_000, ge=1, le=2**40)
    max_references: Integer = Field(default=500, ge=0, le=2**20)
    resize_to_pixels: Integer = Field(default=0, ge=0, le=2**40, description="0 never touches a picture.")
    document_dpi: Integer = Field(default=150, ge=1, le=2400, description="Of pages rendered from documents.")


class JobFields(In):
    """What a job is made of; every member may be left out."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": examples.CREATE_JOB})

    model: Text | None = Field(None, min_length=1, max_length=512, description="Null takes any model.")
    engine: str | None = Field(None, max_length=128, description="Name of an engine pool.")
    use_case: Text | None = Field(None, max_length=4096)
    output: Text | None = Field(
        None,
        max_length=1024,
        description="Folder, such as `s3://bucket/prefix`, that gets a copy of the result files; below `output_allow`.",
    )
    output_of_others: bool = Field(
        default=False,
        description="Whether `output` also gets the results of batches of projects that the job is shared with.",
    )
    completion_window: Window | None = Field(None, description="Window of batches that do not name one.")
    priority: Integer = Field(0, ge=-1_000_000, le=1_000_000, description="Higher goes first.")
    defaults: dict[str, Any] = Field({}, description="Put into bodies that do not set them.")
    price: Price | None = None
    media: MediaPolicy = MediaPolicy()
    shared_with: list[Annotated[str, Field(pattern=r"^(proj_[A-Za-z0-9_-]{1,64}|\*)$")]] | None = Field(
        None, max_length=1000, description="Ids of other projects that may use it; `*` is all of them."
    )


class CreateJob(JobFields):
    """A new job."""

    id: str | None = Field(
        None, pattern=r"^job-[A-Za-z0-9._-]{1,100}$", description="Made up by the server when absent."
    )


class Job(Out):
    """A job: a named model with its engine, defaults, price and media policy."""

    model_config = ConfigDict(json_schema_extra={"example": examples.JOB})

    id: str
    object: Literal["job"] = "job"
    created_at: Seconds | None = Field(description="Null for a job of the settings file.")
    source: Literal["settings", "api", "shared"] = Field(
        description="Where it is defined; those of the settings, and of other projects that share them, are read-only."
    )
    model: str | None
    engine: str
    use_case: str | None
    output: str | None = Field(
        description="Null for who borrows the job and whose results are not copied to its owner."
    )
    output_of_others: bool
    completion_window: str | None
    priority: int
    defaults: dict[str, Any]
    price: Price | None
    media: MediaPolicy
    shared_with: list[str] | None = Field(
        description="Null also where it is nobody's business but its owner's."
    )


class JobList(Out):
    """A page of jobs; `last_id` is the cursor of the next one."""

    object: Literal["list"] = "list"
    data: list[Job]
    first_id: str | None
    last_id: str | None
    has_more: bool


class JobQuery(BaseModel):
    """Which part of the jobs."""

    after: str | None = after_of(JOB)
    limit: int = Field(20, ge=1, le=100)


class JobDeleted(Out):
    """A job that is gone."""

    id: str
    object: Literal["job"] = "job"
    deleted: Literal[True] = True
