"""Who may come in: those who show a key, and everybody while there has never been one and only this machine can ask.

Every request asks the database anew, one read by an index: a key that is revoked opens nothing from the next request on, in
every process.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from pronk.api.guesses import Guesses
from pronk.api.visitor import OWN_NAMES, Visitor
from pronk.domain.errors import (
    AuthenticationError,
    InvalidRequestError,
    OutageError,
    PermissionDeniedError,
    RateLimitError,
)
from pronk.domain.key import Identity, Key, Scope, granted, hash_of
from pronk.domain.project import Limits
from pronk.settings import Settings
from pronk.store.keys import Found
from pronk.store.store import Store

TOUCH_SECONDS: Final = 60
_ALL: Final = granted([Scope.ADMIN])
_USE: Final = granted([Scope.WRITE])


class Door:
    """The door of one server. `now` gives Unix seconds."""

    def __init__(self, store: Store, settings: Settings, *, now: Callable[[], float]) -> None:
        self._store = store
        self._settings = settings
        self._now = now
        self._guesses = Guesses()

    async def identify(self, presented: str | None, visitor: Visitor) -> Identity:
        """Return who asks, with the key that a request shows.

        Raises AuthenticationError, the same for every key that opens nothing, and RateLimitError after many such keys from
        one address; while nobody needs a key InvalidRequestError or PermissionDeniedError for web sites that use
        somebody's browser.
        """
        found = await self._look(presented, visitor.address)
        if found.key is not None:
            return self._identity(found.key, found)
        if presented is not None and found.is_keyed:
            raise _wrong_key()
        return self._without_key(found, visitor)

    async def authenticate(self, presented: str, address: str) -> Identity | None:
        """Return whose key this is, None when it opens nothing. RateLimitError after many wrong ones from one address."""
        found = await self._look(presented, address)
        return self._identity(found.key, found) if found.key is not None else None

    async def anonymous(self, visitor: Visitor) -> Identity | None:
        """Return who asks without a key, None where one is needed. Raises what `identify` does for foreign web sites."""
        try:
            return self._without_key(await self._store.keys.find(None), visitor)
        except AuthenticationError:
            return None

    def _without_key(self, found: Found, visitor: Visitor) -> Identity:
        settings = self._settings
        if settings.allow_anonymous:
            return Identity(scopes=_USE, limits=self._limits(found))
        if found.is_keyed or not settings.is_local:
            raise _no_key()
        _check_browser(visitor)
        return Identity(scopes=_ALL, limits=self._limits(found))

    async def _look(self, presented: str | None, address: str) -> Found:
        """Return what is known of who shows a key; a key in it opens something. Before the first key none is wrong."""
        if presented is None:
            return await self._store.keys.find(None)
        hash_ = hash_of(presented)
        self._check_pace(address, hash_)
        found = await self._store.keys.find(hash_)
        now = self._now()
        if found.key is not None and found.key.holds(now):
            self._guesses.right(address, hash_)
            await self._touch(found.key, int(now))
            return found
        self._guesses.forget(address, hash_)
        if found.is_keyed:
            self._guesses.wrong(address, now=now)
        return msgspec.structs.replace(found, key=None)

    def _check_pace(self, address: str, hash_: str) -> None:
        wait = self._guesses.wait(address, hash_, now=self._now())
        if wait:
            raise RateLimitError(
                "Too many wrong API keys came from this address; wait before the next one.",
                retry_after=wait,
                code="too_many_wrong_keys",
            )

    def _identity(self, key: Key, found: Found) -> Identity:
        return Identity(
            project_id=key.project_id,
            key_id=key.id,
            scopes=granted(key.scopes),
            limits=self._limits(found),
        )

    def _limits(self, found: Found) -> Limits:
        return found.limits.over(self._settings.limits)

    async def _touch(self, key: Key, now: int) -> None:
        """Note its use; a database that can only be read is no reason to keep anybody out."""
        if key.last_used_at is None or key.last_used_at <= now - TOUCH_SECONDS:
            with suppress(OutageError):
                await self._store.keys.touch(key.id, now=now)


def _check_browser(visitor: Visitor) -> None:
    if not visitor.names_this_machine:
        raise InvalidRequestError(
            "This server has no keys and answers only to its own machine, under the names "
            f"{', '.join(sorted(OWN_NAMES))}; make a key with `pronk keys create` to use it under others.",
            code="invalid_host",
        )
    if visitor.is_of_a_foreign_page:
        raise PermissionDeniedError(
            "This request was sent by a page of another site; without keys this server takes none of those.",
            code="foreign_origin",
        )


def _no_key() -> AuthenticationError:
    return AuthenticationError(
        "This server asks for an API key: send it as 'Authorization: Bearer pronk_…'.", code="missing_api_key"
    )


def _wrong_key() -> AuthenticationError:
    return AuthenticationError(
        "This API key is not known here, has expired, or was revoked.", code="invalid_api_key"
    )
