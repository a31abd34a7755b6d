"""Small pictures of references for people who look at them: the same policy, guards, limits and caches as for engines.

What was made is remembered by content beside the objects, and the last ones by their reference, so that a page that is
looked at again costs nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Protocol

import anyio
import msgspec

from pronk.domain.errors import MediaError
from pronk.domain.ids import ProjectId
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import Reference
from pronk.media.cache import CacheKey, Medium
from pronk.media.documents import Documents
from pronk.media.fetched import FetchError
from pronk.media.library import Caller, Order
from pronk.media.policy import check_allowed
from pronk.media.sniff import Looks
from pronk.media.work import Changed

_AT_ONCE: Final = 8
_KEPT_BYTES: Final = 32 << 20


class Shrinker(Protocol):
    """Makes small pictures; raises FetchError for what cannot be decoded."""

    async def shrink(self, data: bytes, type_: str, edge: int, max_bytes: int) -> Changed:
        """Return the first frame upright, no longer than `edge` pixels and about `max_bytes` (0 for any)."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A small picture that somebody wants to see; of a document, its first page. `since` as in `Caller.fresh_since`."""

    reference: Reference
    policy: MediaPolicy
    project: ProjectId
    since: float
    edge: int
    max_bytes: int = 0


class Thumbs:
    """Small pictures, each made once."""

    def __init__(self, documents: Documents, shrinker: Shrinker) -> None:
        self._documents = documents
        self._library = documents.library
        self._shrinker = shrinker
        self._places = anyio.Semaphore(_AT_ONCE)
        self._kept: OrderedDict[Wanted, tuple[bytes, str]] = OrderedDict()
        self._kept_bytes = 0

    async def small(self, wanted: Wanted) -> tuple[bytes, str]:
        """Return a small picture and its type. Raises MediaError."""
        check_allowed(wanted.reference, wanted.policy)
        found = self._kept.get(wanted)
        if found is not None:
            self._kept.move_to_end(wanted)
            return found
        async with self._places:
            medium = await self._original(wanted)
            made = await self._shrunk(wanted, medium)
        self._keep(wanted, made)
        return made

    async def whole(self, wanted: Wanted) -> tuple[bytes, str]:
        """Return the picture as an engine would get it, and its type. Raises MediaError."""
        check_allowed(wanted.reference, wanted.policy)
        async with self._places:
            medium = await self._original(wanted)
        return medium.data, medium.looks.type

    async def _original(self, wanted: Wanted) -> Medium:
        caller = Caller(project=wanted.project, policy=wanted.policy, fresh_since=wanted.since)
        order = Order(reference=wanted.reference, caller=caller, admit=_nothing, claim=_nothing)
        if wanted.reference.kind == "document":
            return (await self._documents.pages(order))[0][0]
        return (await self._library.get(wanted.reference, caller, _nothing))[0]

    async def _shrunk(self, wanted: Wanted, medium: Medium) -> tuple[bytes, str]:
        if max(medium.looks.width, medium.looks.height) <= wanted.edge and (
            not wanted.max_bytes or len(medium.data) <= wanted.max_bytes
        ):
            return medium.data, medium.looks.type
        name = f"{await self._library.hash_of(medium)}#edge={wanted.edge}&bytes={wanted.max_bytes}"
        key = CacheKey(wanted.project, "image", name)

        async def make() -> Medium:
            new = await self._shrinker.shrink(medium.data, medium.looks.type, wanted.edge, wanted.max_bytes)
            looks = Looks(new.type, new.width, new.height)
            return msgspec.structs.replace(
                medium, data=new.data, looks=looks, key=key, etag=None, changed=True, via=(), hash=None
            )

        try:
            made = await self._library.made(key, make)
        except FetchError as error:
            raise _failure(wanted.reference, error) from error
        return made.data, made.looks.type

    def _keep(self, wanted: Wanted, made: tuple[bytes, str]) -> None:
        if len(made[0]) * 8 > _KEPT_BYTES:
            return
        self._kept[wanted] = made
        self._kept_bytes += len(made[0])
        while self._kept_bytes > _KEPT_BYTES:
            _, gone = self._kept.popitem(last=False)
            self._kept_bytes -= len(gone[0])


def _nothing(_: int) -> None:
    """One picture at a time is within every budget."""


def _failure(reference: Reference, error: FetchError) -> MediaError:
    return reference.failure(error.ending, error.why)
