"""What a worker needs of its neighbours, and nothing more."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from pronk.domain.bodies import Body
from pronk.domain.ids import ProjectId
from pronk.domain.job import MediaPolicy


class AnswerPort(Protocol):
    """What an engine answered. `retry_after` is seconds."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def body(self) -> bytes:
        """The body as it came."""

    @property
    def retry_after(self) -> float | None:
        """The engine's wish, if it named one."""

    @property
    def request_id(self) -> str | None:
        """The engine's own id of the request."""

    @property
    def replica(self) -> str:
        """Which replica answered."""


class EnginePort(Protocol):
    """A pool of engine replicas. Raises EngineError; a cancelled call is aborted at the engine."""

    @property
    def name(self) -> str:
        """The pool's name in the settings."""

    @property
    def limit(self) -> int:
        """How many requests of this worker may be in flight now."""

    @property
    def is_out(self) -> bool:
        """Whether no replica can be reached."""

    async def wait_until_up(self) -> None:
        """Return when a replica can be reached again."""

    async def complete(self, path: str, body: Body, *, avoid: Collection[str] = ()) -> AnswerPort:
        """Send one request and return the answer, whatever its status."""


class ResolvedPort(Protocol):
    """A body that an engine can use; it holds memory until it is closed."""

    @property
    def pieces(self) -> Body:
        """What the engine gets."""

    @property
    def facts(self) -> Collection[object]:
        """What was learned of each reference."""

    def close(self) -> None:
        """Give the memory back."""


class MediaPort(Protocol):
    """References to bytes."""

    def names_media(self, body: bytes) -> bool:
        """Whether a body may hold a reference; never False for one that does."""

    async def resolve(
        self,
        body: bytes,
        *,
        endpoint: str,
        policy: MediaPolicy,
        project: ProjectId,
        fresh_since: float | None = None,
        with_uuid: bool = False,
        reads_files: bool = False,
    ) -> ResolvedPort:
        """Put what references name into the body. Raises MediaError.

        Objects are as they were at `fresh_since` (epoch seconds) or later. `with_uuid` and `reads_files` say what the
        engine understands and may read (`EngineSpec`).
        """
