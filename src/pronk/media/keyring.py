"""Credentials in use: fetched once per identity, renewed before they end, dropped when a store calls them expired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import anyio
import anyio.to_thread
import msgspec

from pronk.media.aws import Identity, Keys
from pronk.media.fetched import FetchError, TransientError
from pronk.media.flight import Flights

_EARLY = 600.0
_PATIENCE = 30.0


class KeySource(Protocol):
    """Where credentials come from; blocks, and raises FetchError or TransientError."""

    def keys(self, identity: Identity) -> Keys:
        """Return fresh credentials of `identity`."""


class _Held(msgspec.Struct):
    keys: Keys
    renew_at: float


class KeyRing:
    """The credentials of every identity; `clock` gives epoch seconds."""

    def __init__(self, source: KeySource, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._held: dict[Identity, _Held] = {}
        self._flights: Flights[Identity, Keys] = Flights()

    def find(self, identity: Identity) -> Keys | None:
        """Return what can be used at once, or None when it is time to `get`."""
        held = self._held.get(identity)
        return held.keys if held is not None and self._clock() < held.renew_at else None

    async def get(self, identity: Identity) -> Keys:
        """Return credentials that have not ended; a renewal that fails is tried again later while the old ones hold."""
        keys = self.find(identity)
        if keys is None:
            keys, _ = await self._flights.run(identity, lambda: self._renew(identity))
        return keys

    def drop(self, identity: Identity, keys: Keys) -> None:
        """Forget `keys`, unless newer ones are held already."""
        held = self._held.get(identity)
        if held is not None and held.keys is keys:
            del self._held[identity]

    async def _renew(self, identity: Identity) -> Keys:
        try:
            keys: Keys = await anyio.to_thread.run_sync(self._source.keys, identity, abandon_on_cancel=True)
        except (FetchError, TransientError):
            held = self._held.get(identity)
            if held is None or (held.keys.expires_at or 0.0) <= self._clock():
                raise
            held.renew_at = min(self._clock() + _PATIENCE, held.keys.expires_at or 0.0)
            return held.keys
        self._held[identity] = _Held(keys, self._renew_at(keys))
        return keys

    def _renew_at(self, keys: Keys) -> float:
        """Ten minutes before the end, or when three quarters of a short life are over."""
        if keys.expires_at is None:
            return float("inf")
        now = self._clock()
        return max(keys.expires_at - _EARLY, now + 0.75 * (keys.expires_at - now))
