"""What commands do straight on the database of the machine's server, without asking the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from pronk.domain.errors import NotFoundError
from pronk.domain.event import Event
from pronk.domain.ids import ProjectId, new_event_id
from pronk.domain.project import Project
from pronk.settings import Settings
from pronk.store.store import Store

T = TypeVar("T")

LOCAL: Final = ("database", "data_dir")
"""The settings that say which database."""


def on_store(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    """Open the store, do `work` on it, and close it again."""
    import anyio

    from pronk.app.parts import open_store

    async def run() -> T:
        async with open_store(settings) as store:
            return await work(store)

    return anyio.run(run)


async def project_of(store: Store, named: str) -> Project:
    """Return a project by its name or id. Raises NotFoundError with a sentence for people."""
    found = await store.projects.find_by_name(named)
    if found is not None:
        return found
    try:
        return await store.projects.get(named)
    except NotFoundError:
        raise NotFoundError(
            f"there is no project {named!r}; make it with: pronk projects create {named}"
        ) from None


async def note(store: Store, project_id: ProjectId, action: str, object_id: str) -> None:
    """Write an event of the audit log for somebody at this machine."""
    event = Event(
        id=new_event_id(),
        project_id=project_id,
        key_id=None,
        action=action,
        object_id=object_id,
        address="local",
        at=int(store.now()),
    )
    await store.audit.add(event)
