"""Batches and their results on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pronk.api import examples
from pronk.api.names import BATCH, JOB
from pronk.api.schemas.base import ExpiresAfter, In, Out, Seconds, Text, Window, after_of
from pronk.domain.batch import BatchStatus

Endpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"]
Metadata = Annotated[
    dict[Annotated[Text, Field(max_length=64)], Annotated[Text, Field(max_length=512)]],
    Field(max_length=16, description="Up to 16 pairs; keys of up to 64 characters, values of up to 512."),
]


class CreateBatch(In):
    """A batch over an uploaded file."""

    model_config = ConfigDict(json_schema_extra={"example": examples.CREATE_BATCH})

    input_file_id: str = Field(description="A file of purpose `batch`.")
    endpoint: Endpoint
    completion_window: Window | None = Field(
        None, description="Required, unless the job has a window of its own."
    )
    job_id: str | None = Field(
        None, description="The job to run. When absent: the job of the lines' model, else `job-default`."
    )
    metadata: Metadata | None = None
    output_expires_after: ExpiresAfter | None = None


class AnotherRun(In):
    """What is to be different in a batch that is run again."""

    model_config = ConfigDict(json_schema_extra={"example": examples.ANOTHER_RUN})

    completion_window: Window | None = None
    job_id: str | None = Field(default=None, description="The job to run, as it is now.")
    metadata: Metadata | None = None


class LineError(Out):
    """One finding of validation; `line` counts from 1."""

    code: str
    message: str
    param: str | None
    line: int | None


class BatchErrors(Out):
    """Why a batch failed validation: at most 100 findings."""

    object: Literal["list"] = "list"
    data: list[LineError]


class RequestCounts(Out):
    """Request lines of a batch: all, answered, failed."""

    total: int
    completed: int
    failed: int


class InputDetails(Out):
    """Parts of the input tokens."""

    cached_tokens: int


class OutputDetails(Out):
    """Parts of the output tokens."""

    reasoning_tokens: int


class Usage(Out):
    """Tokens of all answers so far."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class Batch(Out):
    """A batch. Times are null while the event has not happened."""

    model_config = ConfigDict(json_schema_extra={"example": examples.BATCH})

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str | None
    errors: BatchErrors | None
    input_file_id: str
    completion_window: str
    status: BatchStatus
    output_file_id: str | None
    error_file_id: str | None
    created_at: Seconds
    in_progress_at: Seconds | None
    expires_at: Seconds | None
    finalizing_at: Seconds | None
    completed_at: Seconds | None
    failed_at: Seconds | None
    expired_at: Seconds | None
    cancelling_at: Seconds | None
    cancelled_at: Seconds | None
    request_counts: RequestCounts
    usage: Usage
    metadata: dict[str, str] | None
    job_id: str
    processing_cost: float | None = Field(
        description="US dollars for the tokens so far, where the job has a price."
    )


class BatchList(Out):
    """A page of batches; `last_id` is the cursor of the next one."""

    object: Literal["list"] = "list"
    data: list[Batch]
    first_id: str | None
    last_id: str | None
    has_more: bool


class BatchQuery(BaseModel):
    """Which part of the batches."""

    after: str | None = after_of(BATCH)
    limit: int = Field(20, ge=1, le=100)
    status: BatchStatus | None = Field(None, description="Only batches in this status.")
    job_id: str | None = Field(
        None,
        description="Only batches of this job.",
        json_schema_extra={"pattern": f"^{JOB.pattern.pattern}$"},
    )


class ResultLine(Out):
    """A result line, as it stands in the output or the error file."""

    model_config = ConfigDict(json_schema_extra={"example": examples.RESULT})

    id: str
    custom_id: str
    response: dict[str, Any] | None
    error: dict[str, Any] | None


class ResultList(Out):
    """A page of result lines in the order of the input; `last_id` is the cursor of the next one."""

    object: Literal["list"] = "list"
    data: list[ResultLine]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ResultQuery(BaseModel):
    """Which part of the result lines."""

    after: str | None = Field(
        None,
        description="Id of the last result of the page before, or the number of its line.",
        max_length=128,
    )
    limit: int = Field(100, ge=1, le=1000)
    status: Literal["ok", "failed"] | None = Field(None, description="Only these.")
