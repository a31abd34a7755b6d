"""Models, and what operators ask."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pronk.api.schemas.base import Out, Seconds


class Model(Out):
    """A model that some job serves."""

    id: str
    object: Literal["model"] = "model"
    created: Seconds
    owned_by: str = "pronk"


class ModelList(Out):
    """All models."""

    object: Literal["list"] = "list"
    data: list[Model]


class Health(Out):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class Ready(Out):
    """Everything that a batch needs answers."""

    status: Literal["ready"] = "ready"
    workers: int = Field(description="Workers heard of in the last ten seconds.")
