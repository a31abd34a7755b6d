"""Preflights on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from pronk.api import examples
from pronk.api.schemas.base import In, Out
from pronk.api.schemas.batches import Endpoint, LineError


class CheckBatch(In):
    """A batch that is not to be run, only checked."""

    model_config = ConfigDict(json_schema_extra={"example": examples.CHECK_BATCH})

    input_file_id: str = Field(description="A file of purpose `batch`.")
    endpoint: Endpoint
    job_id: str | None = Field(
        None,
        description="The job to check for. When absent: the job of the lines' model, else `job-default`.",
    )


class CheckedReference(Out):
    """A reference that could not be read; `line` is the first that names it."""

    reference: str
    kind: Literal["image", "video", "audio", "document"]
    line: int
    uses: int
    code: str | None
    message: str | None


class CheckedAmount(Out):
    """Distinct references and their bytes."""

    references: int
    bytes: int


class CheckedRegion(CheckedAmount):
    """What lies in one region; `cost` is US dollars for its bytes where they cross to the server's region."""

    crosses: bool
    cost: float


class CheckReport(Out):
    """What would come of a batch. Tokens and their cost are estimates."""

    object: Literal["batch.check"] = "batch.check"
    input_file_id: str
    job_id: str
    ok: bool = Field(description="Whether every line would reach the engine.")
    requests: int
    errors: list[LineError] = Field(description="What validation would say: at most 100 findings.")
    references: int = Field(description="Distinct references.")
    uses: int = Field(description="How often they are named.")
    readable: int
    failed: dict[str, int] = Field(description="Distinct references that cannot be read, by code.")
    problems: list[CheckedReference] = Field(description="The first 100 of them.")
    bytes: int
    types: dict[str, CheckedAmount]
    regions: dict[str, CheckedRegion]
    home_region: str
    crossing_bytes: int
    crossing_cost: float
    input_tokens: int = Field(description="An estimate: four characters a token, 28 x 28 pixels a token.")
    input_cost: float | None = Field(description="US dollars for these, where the job has a price.")
    details_file_id: str = Field(
        description="A file for a day: every distinct reference as one line of JSON with size, type and region."
    )
