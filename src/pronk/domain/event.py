"""An event of the audit log: who did what to which thing, and from where."""

from __future__ import annotations

import msgspec

from pronk.domain.ids import EventId, KeyId, ProjectId


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """`action` is a noun and a verb, such as ``batch.cancel``; `object_id` is what it was done to.

    `project_id` is the actor's. `key_id` None is somebody who needed no key; `address` is the peer's, ``local`` for a command
    on the server's machine.
    """

    id: EventId
    project_id: ProjectId
    key_id: KeyId | None
    action: str
    object_id: str
    address: str
    at: int
