"""Objects that were fetched, so that each is fetched once: in memory, and on disk for all workers of a machine.

The key is what a caller may see: project, credentials, and the object's name. So a hit never tells one project what
another has read, and a job's allow-list is asked before the cache is.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

import msgspec

from pronk.domain.ids import ProjectId
from pronk.domain.reference import Kind
from pronk.media.aws import Identity
from pronk.media.sniff import Looks


class CacheKey(msgspec.Struct, frozen=True):
    """Who read what. `name` is the reference without what only signs it; `pixels` the budget it was changed to fit.

    The name of a rendered page is made of its document's hash, so it has no identity and is never out of date.
    """

    project: ProjectId
    kind: Kind
    name: str
    identity: Identity | None = None
    pixels: int | None = None

    def digest(self) -> str:
        """Return a file name for this key."""
        return blake2b(msgspec.msgpack.encode(self), digest_size=20).hexdigest()


class Medium(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """One object, checked: its bytes, what they are, and when (epoch seconds) they were last known to be current.

    `key` is None for what is never cached; `changed` says that the bytes are not the fetched ones; `via` where
    servers sent us on; `hash` names the bytes, once somebody needed to know.
    """

    data: bytes
    looks: Looks
    etag: str | None = None
    current_at: float = 0.0
    key: CacheKey | None = None
    changed: bool = False
    via: tuple[str, ...] = ()
    hash: str | None = None


class MemoryCache:
    """The most recently used objects, `max_bytes` of them."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held: OrderedDict[CacheKey, Medium] = OrderedDict()
        self.used = 0

    def find(self, key: CacheKey) -> Medium | None:
        """Return the object and count it as used."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, key: CacheKey, medium: Medium) -> None:
        """Keep the object, at the cost of those not used for longest; one over a quarter of the whole is not kept."""
        old = self._held.pop(key, None)
        if old is not None:
            self.used -= len(old.data)
        if len(medium.data) * 4 > self._max_bytes:
            return
        self._held[key] = medium
        self.used += len(medium.data)
        while self.used > self._max_bytes:
            _, gone = self._held.popitem(last=False)
            self.used -= len(gone.data)
