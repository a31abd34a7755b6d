"""API keys: what one may do, and who a request comes from."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from pronk.domain.ids import DEFAULT_PROJECT, KeyId, ProjectId
from pronk.domain.project import NO_LIMITS, Limits

SHOWN = 12
"""So many characters of a key are kept to tell it from others; the rest is only known to who has it."""


class Scope(StrEnum):
    """What a key may do; each one includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is remembered, which is without its secret. It is never deleted, only revoked."""

    id: KeyId
    project_id: ProjectId
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    created_at: int
    expires_at: int | None = None
    last_used_at: int | None = None
    revoked_at: int | None = None

    def holds(self, now: float) -> bool:
        """Return whether it opens anything now."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who a request comes from. `key_id` is None for who needs no key; `limits` are the project's own."""

    project_id: ProjectId = DEFAULT_PROJECT
    key_id: KeyId | None = None
    scopes: frozenset[Scope]
    limits: Limits = NO_LIMITS

    @property
    def is_operator(self) -> bool:
        """Whether this is an administrator of the default project, and so of all projects."""
        return Scope.ADMIN in self.scopes and self.project_id == DEFAULT_PROJECT


def granted(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """Return the scopes with all that they include."""
    order = list(Scope)
    most = max((order.index(scope) for scope in scopes), default=-1)
    return frozenset(order[: most + 1])


def new_secret() -> str:
    """Return a fresh key: ``pronk_`` and 256 bits of chance."""
    return f"pronk_{secrets.token_urlsafe(32)}"


def hash_of(secret: str) -> str:
    """Return what is remembered of a key. Its 256 bits of chance cannot be guessed, so no slow hash is needed."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
