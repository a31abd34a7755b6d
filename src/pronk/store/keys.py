"""API keys, as they are remembered: never the key itself, only its hash."""

from __future__ import annotations

from hmac import compare_digest

import msgspec

from pronk.domain.errors import NotFoundError
from pronk.domain.ids import DEFAULT_PROJECT, KeyId, ProjectId
from pronk.domain.key import Key
from pronk.domain.project import NO_LIMITS, Limits
from pronk.store import rows
from pronk.store.database import LAST, Database, Row, Transaction


class Found(msgspec.Struct, frozen=True):
    """What is known of who asks: the key, if it is one; whether there has ever been any; the limits of the project.

    Without a key the limits are those of the default project.
    """

    key: Key | None
    is_keyed: bool
    limits: Limits


class Keys:
    """Key rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: Key, hash_: str) -> None:
        """Remember a key by the hash of its secret. Raises NotFoundError when there is no such project."""
        values = {
            name: getattr(key, name)
            for name in ("id", "project_id", "name", "prefix", "created_at", "expires_at")
        }
        values |= {"hash": hash_, "scopes": rows.to_json(key.scopes)}
        if not await self._database.write(lambda tx: tx.run("insert_api_key", **values)):
            raise NotFoundError(f"No such project: {key.project_id!r}.", param="project_id", code="not_found")

    async def exist(self) -> bool:
        """Return whether there has ever been a key."""
        return await self._database.read(lambda tx: tx.one("find_any_api_key")) is not None

    async def find(self, hash_: str | None) -> Found:
        """Return what is known of who shows a key with this hash, or none; in which state a key is, is for the caller."""

        def work(tx: Transaction) -> Found:
            row = tx.one("find_api_key", hash=hash_) if hash_ is not None else None
            if row is not None and compare_digest(row["hash"], hash_ or ""):
                return Found(rows.to_key(row), True, rows.to_limits(row["limits"]))
            is_keyed = tx.one("find_any_api_key") is not None
            return Found(None, is_keyed, _limits(tx.one("find_project", id=DEFAULT_PROJECT)))

        return await self._database.look(work)

    async def get(self, project_id: ProjectId | None, key_id: str) -> Key:
        """Return a key of the project, or of any (None)."""
        row = await self._database.read(lambda tx: tx.one("get_api_key", id=key_id, project_id=project_id))
        return rows.to_key(_there(row, key_id))

    async def page(
        self, project_id: ProjectId | None, *, after: str | None = None, limit: int = 100
    ) -> list[Key]:
        """Return up to `limit` keys that are older than `after`, newest first, also those that are revoked."""
        values = {"after": after or LAST, "limit": limit}
        if project_id is None:
            found = await self._database.read(lambda tx: tx.all("list_api_keys", **values))
        else:
            values["project_id"] = project_id
            found = await self._database.read(lambda tx: tx.all("list_api_keys_of_project", **values))
        return [rows.to_key(row) for row in found]

    async def revoke(self, project_id: ProjectId | None, key_id: str, *, now: int) -> Key:
        """Let a key open nothing any more. A second time changes nothing."""
        values = {"id": key_id, "project_id": project_id, "now": now}
        row = await self._database.write(lambda tx: tx.one("revoke_api_key", **values))
        return rows.to_key(_there(row, key_id))

    async def touch(self, key_id: KeyId, *, now: int) -> None:
        """Note that a key was used, to the minute."""
        await self._database.write(lambda tx: tx.run("touch_api_key", id=key_id, now=now))


def _there(row: Row | None, key_id: str) -> Row:
    if row is None:
        raise NotFoundError(f"No such key: {key_id!r}.", param="key_id", code="not_found")
    return row


def _limits(row: Row | None) -> Limits:
    return rows.to_limits(row["limits"]) if row else NO_LIMITS
