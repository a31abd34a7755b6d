"""Keys: make, list, look at, revoke."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from pronk.api import documented, schemas
from pronk.api.audit import Audit
from pronk.api.auth import Admin, visible_project
from pronk.api.names import KEY, checked_cursor, checked_id
from pronk.api.paging import to_page
from pronk.api.parts import Parts
from pronk.api.small import SmallBodies
from pronk.domain.errors import InvalidRequestError
from pronk.domain.ids import new_key_id
from pronk.domain.key import SHOWN, Key, Scope, hash_of, new_secret

router = APIRouter(prefix="/v1", tags=["Keys and projects"], route_class=SmallBodies)


@router.post("/keys", responses=documented.CREATING)
async def create_key(
    body: schemas.CreateKey, identity: Admin, parts: Parts, audit: Audit
) -> schemas.CreatedKey:
    """Make a key. Its value is in this answer and nowhere else."""
    now = parts.second
    if body.expires_at is not None and body.expires_at <= now:
        raise InvalidRequestError(
            f"'expires_at' is {body.expires_at}, which is over; it is {now} now.",
            param="expires_at",
            code="invalid_value",
        )
    secret = new_secret()
    key = Key(
        id=new_key_id(),
        project_id=visible_project(identity, body.project_id or identity.project_id) or identity.project_id,
        name=body.name,
        prefix=secret[:SHOWN],
        scopes=tuple(scope for scope in Scope if scope in body.scopes),
        created_at=now,
        expires_at=body.expires_at,
    )
    await parts.store.keys.add(key, hash_of(secret))
    await audit.note("key.create", key.id)
    return schemas.CreatedKey(**_to_wire(key).model_dump(), value=secret)


@router.get("/keys", responses=documented.PAGING)
async def list_keys(
    query: Annotated[schemas.KeyQuery, Query()], identity: Admin, parts: Parts
) -> schemas.KeyList:
    """List keys, newest first, also those that are revoked or expired."""
    found = await parts.store.keys.page(
        visible_project(identity, query.project_id),
        after=checked_cursor(KEY, query.after),
        limit=query.limit + 1,
    )
    return to_page(schemas.KeyList, found, query.limit, _to_wire)


@router.get("/keys/{key_id}", responses=documented.LOOKING)
async def get_key(key_id: str, identity: Admin, parts: Parts) -> schemas.Key:
    """Look at a key."""
    return _to_wire(await parts.store.keys.get(visible_project(identity, None), checked_id(KEY, key_id)))


@router.post("/keys/{key_id}/revoke", responses=documented.CHANGING)
async def revoke_key(key_id: str, identity: Admin, parts: Parts, audit: Audit) -> schemas.Key:
    """Revoke a key: from its next request on it opens nothing, in every process. This cannot be undone."""
    known = checked_id(KEY, key_id)
    key = await parts.store.keys.revoke(visible_project(identity, None), known, now=parts.second)
    await audit.note("key.revoke", key.id)
    return _to_wire(key)


def _to_wire(key: Key) -> schemas.Key:
    return schemas.Key(
        id=key.id,
        name=key.name,
        project_id=key.project_id,
        prefix=key.prefix,
        scopes=[scope.value for scope in key.scopes],
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
    )
