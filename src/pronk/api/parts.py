"""What the composition root gives the API, and how a route gets hold of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final, Protocol

from fastapi import Depends, Request

from pronk import telemetry
from pronk.api.door import Door
from pronk.api.places import Places
from pronk.api.rates import Rates
from pronk.blobs import Blobs
from pronk.domain.ids import ProjectId
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import Kind
from pronk.engines.client import Answer, Stream
from pronk.journal import Journal
from pronk.media.looking import Seen
from pronk.settings import Settings
from pronk.store.store import Store


class Engines(Protocol):
    """A pool of replicas, as far as requests that are answered at once need it."""

    async def complete(self, path: str, body: bytes, /) -> Answer:
        """Return one replica's answer; raises EngineError. Cancelling aborts the request at the engine."""

    async def models(self) -> Collection[str]:
        """Return the names of models that the engine says it serves; never raises."""

    def stream(self, path: str, body: bytes, /) -> AbstractAsyncContextManager[Stream]:
        """Give one replica's answer while it comes; raises EngineError."""


class ResolvedBody(Protocol):
    """A body whose references have been replaced by what the engine can use."""

    @property
    def body(self) -> bytes:
        """What the engine gets."""

    def close(self) -> object:
        """Give back the room its bytes took."""


class Receivers(Protocol):
    """The guarded way to receivers of webhooks."""

    def check(self, url: str, /) -> None:
        """Raise InvalidRequestError for an address that would never be posted to."""


class Objects(Protocol):
    """Whole objects of stores."""

    def read(self, text: str, policy: MediaPolicy, max_bytes: int, /) -> AsyncIterator[bytes]:
        """Yield an object piece by piece. Raises MediaError."""


class References(Protocol):
    """The one door from references to bytes."""

    @property
    def hook(self) -> Receivers:
        """The door to receivers of webhooks."""

    @property
    def whole(self) -> Objects:
        """The door to objects that are no media."""

    async def look(self, text: str, kind: Kind, policy: MediaPolicy, /) -> Seen:
        """Return what a reference names without reading it. Raises MediaError."""

    async def home_region(self) -> str:
        """Return the region that the standard AWS settings name."""

    def names_media(self, body: bytes, /) -> bool:
        """Return whether a body may hold references; quick, and never wrong when the answer is no."""

    async def resolve(
        self,
        body: bytes,
        /,
        *,
        endpoint: str,
        policy: MediaPolicy,
        project: ProjectId,
        with_uuid: bool = False,
        reads_files: bool = False,
    ) -> ResolvedBody:
        """Replace the references of a body. Raises MediaError."""


MAX_CHECKS: Final = 4
MAX_WAITING_CHECKS: Final = 8
"""Of one project."""


async def _scrape() -> bytes:
    telemetry.show()
    return telemetry.render()


@dataclass(frozen=True, kw_only=True)
class ApiParts:
    """The opened parts that routes use. `now` gives Unix seconds; `pools` are the engine pools by name.

    `scrape` gives the metrics of all processes as text, `outages` the parts (see `telemetry.Part`) that workers wait for.
    """

    store: Store
    blobs: Blobs
    journal: Journal
    settings: Settings
    now: Callable[[], float]
    pools: Mapping[str, Engines]
    resolver: References
    version: str
    scrape: Callable[[], Awaitable[bytes]] = _scrape
    outages: Callable[[], Collection[str]] = tuple

    @cached_property
    def door(self) -> Door:
        """Who may come in."""
        return Door(self.store, self.settings, now=self.now)

    @cached_property
    def rates(self) -> Rates:
        """What projects have done in the last minute, in this process."""
        return Rates()

    @cached_property
    def checks(self) -> Places:
        """Preflights that run in this process."""
        return Places(MAX_CHECKS, MAX_WAITING_CHECKS)

    @property
    def second(self) -> int:
        """The time now in whole Unix seconds."""
        return int(self.now())


async def get_parts(request: Request) -> ApiParts:
    """Return the parts of the app that a request came to."""
    parts: ApiParts = request.app.state.parts
    return parts


Parts = Annotated[ApiParts, Depends(get_parts)]
