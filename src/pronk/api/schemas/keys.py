"""Keys, projects and the audit log on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pronk.api import examples
from pronk.api.names import EVENT, KEY, PROJECT
from pronk.api.schemas.base import In, Integer, Out, Seconds, Text, after_of
from pronk.domain.project import GLOB_PATTERN

Scope = Literal["read", "write", "admin"]
Name = Annotated[Text, Field(min_length=1, max_length=128)]
Count = Annotated[Integer, Field(ge=0, le=2**53, json_schema_extra={"minimum": 0, "maximum": 2**53})]

ABOUT_ALLOW = (
    "Globs over references: what jobs, imports, checks and small pictures of the project may read at all, and where "
    "results of its own jobs may be copied; null sets no bounds, an empty list allows nothing."
)

_OF_PROJECT = f"^{PROJECT.pattern.pattern}$"


class CreateKey(In):
    """A new key."""

    model_config = ConfigDict(json_schema_extra={"example": examples.CREATE_KEY})

    name: Name = Field(description="What it is for.")
    scopes: list[Scope] = Field(
        ["write"], min_length=1, max_length=3, description="`write` includes `read`, `admin` includes both."
    )
    expires_at: Integer | None = Field(
        None,
        ge=1,
        le=2**53,
        json_schema_extra={"minimum": 1, "maximum": 2**53},
        description="Unix seconds from which it opens nothing.",
    )
    project_id: str | None = Field(
        None,
        min_length=1,
        json_schema_extra={"pattern": _OF_PROJECT},
        description="Another project than the caller's, for administrators of the default project.",
    )


class Key(Out):
    """A key, without what has to be kept secret."""

    id: str
    object: Literal["key"] = "key"
    name: str
    project_id: str
    prefix: str = Field(description="Its first characters.")
    scopes: list[Scope]
    created_at: Seconds
    expires_at: Seconds | None
    last_used_at: Seconds | None = Field(description="To the minute.")
    revoked_at: Seconds | None


class CreatedKey(Key):
    """A key that was made just now."""

    value: str = Field(description="The key itself; it is shown this once.")


class KeyList(Out):
    """A page of keys."""

    object: Literal["list"] = "list"
    data: list[Key]
    first_id: str | None
    last_id: str | None
    has_more: bool


class KeyQuery(BaseModel):
    """Which part of the keys."""

    after: str | None = after_of(KEY)
    limit: int = Field(20, ge=1, le=100)
    project_id: str | None = Field(
        None, description="Keys of one project only.", json_schema_extra={"pattern": _OF_PROJECT}
    )


class Limits(In):
    """How much a project may use; null is the server's default, 0 no limit."""

    model_config = ConfigDict(extra="forbid")

    max_stored_bytes: Count | None = None
    max_live_batches: Count | None = None
    max_queued_requests: Count | None = None
    max_requests_per_minute: Count | None = None
    max_uploads_per_minute: Count | None = None
    max_tokens_per_day: Count | None = None


Allow = Annotated[
    list[Annotated[Text, Field(pattern=GLOB_PATTERN, max_length=1024)]] | None,
    Field(max_length=1000, description=ABOUT_ALLOW),
]


class CreateProject(In):
    """A new project."""

    model_config = ConfigDict(json_schema_extra={"example": examples.CREATE_PROJECT})

    name: Name
    limits: Limits = Limits()
    allow: Allow = None


class ProjectFields(In):
    """What changes; the limits that are not named stay, and so does `allow`; null takes its bounds away."""

    name: Name | None = None
    limits: Limits | None = None
    allow: Allow = None


class Use(Out):
    """What a project uses now."""

    stored_bytes: int
    live_batches: int
    queued_requests: int
    tokens_today: int = Field(description="Since midnight UTC; running batches count whole.")


class Project(Out):
    """A project: whom files, batches, jobs and keys belong to."""

    id: str
    object: Literal["project"] = "project"
    name: str
    created_at: Seconds
    limits: Limits = Field(description="Its own; null is the server's default.")
    allow: list[str] | None = Field(description=ABOUT_ALLOW)
    use: Use | None = Field(description="Null in lists.")


class ProjectList(Out):
    """A page of projects."""

    object: Literal["list"] = "list"
    data: list[Project]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ProjectQuery(BaseModel):
    """Which part of the projects."""

    after: str | None = after_of(PROJECT)
    limit: int = Field(20, ge=1, le=100)


class Event(Out):
    """Somebody did something."""

    id: str
    object: Literal["audit.event"] = "audit.event"
    at: Seconds
    action: str = Field(description="Such as `batch.cancel`.")
    object_id: str = Field(description="What it was done to.")
    project_id: str
    key_id: str | None = Field(description="Null for somebody who needed no key.")
    address: str = Field(description="The peer's; `local` for a command on the server's machine.")


class EventList(Out):
    """A page of the audit log."""

    object: Literal["list"] = "list"
    data: list[Event]
    first_id: str | None
    last_id: str | None
    has_more: bool


class EventQuery(BaseModel):
    """Which part of the audit log."""

    after: str | None = after_of(EVENT)
    limit: int = Field(20, ge=1, le=100)
    action: str | None = Field(None, max_length=64)
    project_id: str | None = Field(
        None, description="Events of one project only.", json_schema_extra={"pattern": _OF_PROJECT}
    )
