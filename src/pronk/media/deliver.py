"""How the engine gets an object: in the body, as a file, by a signed address, or not at all because it fetches itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from pronk.domain.reference import Reference, shown
from pronk.media.buckets import Buckets
from pronk.media.cache import Medium
from pronk.media.datas import data_url_token
from pronk.media.documents import Documents
from pronk.media.fetched import FetchError
from pronk.media.library import Caller, Order
from pronk.media.policy import check_allowed
from pronk.media.tries import Tries

PRESIGNED_SECONDS = 12 * 3600
"""Longer than a request is tried, however long its engine's queue; temporary credentials may end sooner."""


class MediaFact(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one reference. `reference` is as a message may show it; `seconds` is the wait for its bytes."""

    reference: str
    bytes: int = 0
    type: str = ""
    width: int = 0
    height: int = 0
    hash: str | None = None
    cache_hit: bool = False
    seconds: float = 0.0


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON, in pieces, that takes the place of one reference; None leaves it as it stands.

    `more` are the further pages of a document, whose part is repeated for each of them.
    """

    token: tuple[bytes, ...] | None
    fact: MediaFact
    more: tuple[Delivered, ...] = ()


class Deliverer:
    """Hands objects over in the way a job's policy names; `auto` is `file` for who reads our files, else `data`."""

    def __init__(
        self, documents: Documents, buckets: Buckets, tries: Tries, clock: Callable[[], float]
    ) -> None:
        self._documents = documents
        self._library = documents.library
        self._buckets = buckets
        self._tries = tries
        self._clock = clock

    async def deliver(self, order: Order) -> Delivered:
        """Return what takes the reference's place. MediaError, or what `admit` raises."""
        reference, policy = order.reference, order.caller.policy
        check_allowed(reference, policy)
        way = _way(reference, order.caller, keeps_files=self._library.keeps_files)
        if way == "native":
            await self._library.check(reference)
            return Delivered(token=None, fact=MediaFact(reference=shown(reference.text)))
        if way == "presign":
            return await self._presigned(reference)
        started = self._clock()
        media, hit = await self._media(order)
        order.admit(sum(len(medium.data) for medium in media))
        how = hit, self._clock() - started
        first = await self._handed_over(order, media[0], way, how)
        if len(media) == 1:
            return first
        more = [await self._handed_over(order, medium, way, how) for medium in media[1:]]
        return msgspec.structs.replace(first, more=tuple(more))

    async def _media(self, order: Order) -> tuple[list[Medium], bool]:
        if order.reference.kind == "document":
            return await self._documents.pages(order)
        medium, hit = await self._library.get(order.reference, order.caller, order.admit)
        return [medium], hit

    async def _handed_over(
        self, order: Order, medium: Medium, way: Literal["data", "file"], how: tuple[bool, float]
    ) -> Delivered:
        reference = order.reference
        try:
            token, digest = await self._token(order, medium, way)
        except FetchError as error:
            if way == "file" and order.caller.policy.deliver == "auto":
                return await self._handed_over(order, medium, "data", how)
            raise reference.failure(error.ending, error.why) from error
        return Delivered(token=token, fact=_fact(reference, medium, digest, how))

    async def _token(
        self, order: Order, medium: Medium, way: Literal["data", "file"]
    ) -> tuple[tuple[bytes, ...] | None, str | None]:
        if order.reference.scheme == "data" and not medium.changed:
            digest = await self._library.hash_of(medium) if order.is_hashed else None
            return None, digest
        if way == "file":
            url, digest = await self._library.file_of(medium)
            return (msgspec.json.encode(url),), digest
        digest = await self._library.hash_of(medium) if order.is_hashed else medium.hash
        return data_url_token(medium.looks.type, medium.data), digest

    async def _presigned(self, reference: Reference) -> Delivered:
        url = await self._tries.run(reference, lambda: self._buckets.presign(reference, PRESIGNED_SECONDS))
        return Delivered(token=(msgspec.json.encode(url),), fact=MediaFact(reference=shown(reference.text)))


def _way(
    reference: Reference, caller: Caller, *, keeps_files: bool
) -> Literal["data", "file", "presign", "native"]:
    """An address on the web is fetched even where objects are presigned: an engine has no guard, nor does it draw pages."""
    wish = caller.policy.deliver
    if wish == "presign" and reference.bucket and reference.kind != "document":
        return "presign"
    if wish == "auto" and caller.reads_files and keeps_files:
        wish = "file"
    if reference.scheme == "data" or wish not in {"file", "native"}:
        return "data"
    return wish


def _fact(reference: Reference, medium: Medium, digest: str | None, how: tuple[bool, float]) -> MediaFact:
    return MediaFact(
        reference=shown(reference.text),
        bytes=len(medium.data),
        type=medium.looks.type,
        width=medium.looks.width,
        height=medium.looks.height,
        hash=digest,
        cache_hit=how[0],
        seconds=how[1],
    )
