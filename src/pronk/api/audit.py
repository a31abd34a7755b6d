"""The audit log: how routes note who did what, and the route that shows it."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Query, Request

from pronk.api import documented, schemas
from pronk.api.auth import Admin, Who, visible_project
from pronk.api.names import EVENT, checked_cursor
from pronk.api.paging import to_page
from pronk.api.parts import ApiParts, Parts
from pronk.api.visitor import visitor_of
from pronk.domain.errors import OutageError
from pronk.domain.event import Event
from pronk.domain.ids import new_event_id
from pronk.domain.key import Identity

log = structlog.get_logger()
router = APIRouter(prefix="/v1", tags=["Keys and projects"])


class Auditor:
    """Notes what one request does. `identity` is who asks, `address` from where."""

    def __init__(self, parts: ApiParts, identity: Identity, address: str) -> None:
        self._parts = parts
        self._identity = identity
        self._address = address

    async def note(self, action: str, object_id: str) -> None:
        """Note that something was done, after it was.

        An answer is not taken back because its note cannot be written: the note then stands in the server's log.
        """
        event = Event(
            id=new_event_id(),
            project_id=self._identity.project_id,
            key_id=self._identity.key_id,
            action=action,
            object_id=object_id,
            address=self._address,
            at=self._parts.second,
        )
        try:
            await self._parts.store.audit.add(event)
        except OutageError as error:
            log.error(  # noqa: TRY400  # the reason is enough
                "audit_event_not_stored",
                action=action,
                object=object_id,
                project=event.project_id,
                key=event.key_id,
                address=event.address,
                error=str(error),
            )


async def get_auditor(request: Request, identity: Who, parts: Parts) -> Auditor:
    """Return what notes the deeds of a request."""
    return Auditor(parts, identity, visitor_of(request).address)


Audit = Annotated[Auditor, Depends(get_auditor)]


@router.get("/audit", responses=documented.PAGING)
async def list_events(
    query: Annotated[schemas.EventQuery, Query()], identity: Admin, parts: Parts
) -> schemas.EventList:
    """List who did what, newest first: in the caller's project, or in all for administrators of the default project."""
    found = await parts.store.audit.page(
        visible_project(identity, query.project_id),
        after=checked_cursor(EVENT, query.after),
        limit=query.limit + 1,
        action=query.action,
    )
    return to_page(schemas.EventList, found, query.limit, _to_wire)


def _to_wire(event: Event) -> schemas.Event:
    return schemas.Event(
        id=event.id,
        at=event.at,
        action=event.action,
        object_id=event.object_id,
        project_id=event.project_id,
        key_id=event.key_id,
        address=event.address,
    )
