"""What the pages work with, and how a route gets hold of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request

from pronk.api.audit import Auditor
from pronk.api.parts import ApiParts
from pronk.api.visitor import Visitor, visitor_of
from pronk.console.index.shelf import Shelf
from pronk.console.pace import Paces
from pronk.console.pages import Pages
from pronk.console.session import KEY, Session, seed_of
from pronk.console.static_files import Assets
from pronk.domain.key import Identity, Scope
from pronk.media.thumbs import Thumbs
from pronk.media.whole import Whole


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The opened parts of the console."""

    parts: ApiParts
    assets: Assets
    pages: Pages
    shelf: Shelf
    thumbs: Thumbs
    objects: Whole
    pools: Mapping[str, Any]
    paces: Paces = field(default_factory=Paces)
    is_stopping: Callable[[], bool] = lambda: False

    def seed(self, request: Request) -> str:
        """Return the secret of the browser."""
        return seed_of(request)

    async def session(self, request: Request) -> Session | None:
        """Return the caller's session, None for who has to log in.

        Raises what the door does for foreign names and sites, and RateLimitError after many wrong keys.
        """
        key = request.cookies.get(KEY)
        if key is not None:
            return await self.session_of(request, key)
        identity = await self.parts.door.anonymous(_visitor(request))
        return _session(identity, request) if identity is not None else None

    async def session_of(self, request: Request, key: str) -> Session | None:
        """Return the session that a key opens, None when it opens nothing."""
        identity = await self.parts.door.authenticate(key, visitor_of(request).address)
        return _session(identity, request) if identity is not None and Scope.READ in identity.scopes else None


def _session(identity: Identity, request: Request) -> Session:
    return Session(seed_of(request), identity)


def _visitor(request: Request) -> Visitor:
    """Return who asks. A link that somebody follows from elsewhere is no page of elsewhere that reads ours."""
    visitor = visitor_of(request)
    headers = request.headers
    if (
        request.method == "GET"
        and headers.get("sec-fetch-dest") == "document"
        and headers.get("sec-fetch-mode") == "navigate"
    ):
        return msgspec.structs.replace(visitor, site=None)
    return visitor


def desk_of(request: Request) -> Desk:
    """Return the desk of the app that a request came to."""
    desk: Desk = request.app.state.console
    return desk


async def get_desk(request: Request) -> Desk:
    """The same, as a dependency."""
    return desk_of(request)


async def get_session(request: Request) -> Session:
    """Return who asks; the guard has put it there."""
    session: Session = request.state.session
    return session


TheDesk = Annotated[Desk, Depends(get_desk)]
Viewer = Annotated[Session, Depends(get_session)]


async def get_audit(request: Request) -> Auditor:
    """Return what notes the deeds of a request, as for those of the API."""
    session: Session = request.state.session
    return Auditor(desk_of(request).parts, session.identity, visitor_of(request).address)


TheAudit = Annotated[Auditor, Depends(get_audit)]
