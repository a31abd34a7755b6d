"""Documents in the place of pictures: each fetched once, each page drawn once, however many requests name it.

``s3://bucket/file.pdf#page=3`` is one picture, ``#page=1-4`` are four and ``s3://bucket/file.pdf`` is the whole document, since
nobody who sends a document means to have a part of it left out unseen. What is too much is refused, never cut.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import msgspec

from pronk.domain.job import MediaPolicy
from pronk.domain.reference import Reference
from pronk.media.cache import CacheKey, Medium
from pronk.media.fetched import FetchError
from pronk.media.library import Library, Order
from pronk.media.sniff import Looks
from pronk.media.work import Changed

_REMEMBERED_SECONDS = 600.0
"""A page that could not be drawn is not tried again at once: it may have taken all the time that there is."""
_MAX_REMEMBERED = 10_000


class Painter(Protocol):
    """Draws pages; raises FetchError for what cannot be drawn."""

    async def draw(self, data: bytes, page: int, dpi: int, max_pixels: int) -> Changed:
        """Return a page (from 1) in `dpi` dots per inch, or as many as fit into `max_pixels`."""


class Documents:
    """The pages of all documents of a worker."""

    def __init__(self, library: Library, painter: Painter, clock: Callable[[], float]) -> None:
        self.library = library
        self._painter = painter
        self._clock = clock
        self._failed: OrderedDict[CacheKey, tuple[float, FetchError]] = OrderedDict()

    async def pages(self, order: Order) -> tuple[list[Medium], bool]:
        """Return the pages that an order names, and whether their document was at hand. MediaError, or what `admit` raises."""
        reference = order.reference
        try:
            if reference.pages is not None:
                order.claim(reference.pages[1] - reference.pages[0] + 1)
            document, hit = await self.library.get(reference, order.caller, order.admit)
            return await self._drawn(document, order), hit
        except FetchError as error:
            raise reference.failure(error.ending, error.why) from error

    async def _drawn(self, document: Medium, order: Order) -> list[Medium]:
        """The first page tells how many there are and what the others may take."""
        if document.looks.type != "application/pdf":
            return _picture(document, order.reference)
        digest, policy = await self.library.hash_of(document), order.caller.policy
        first = 1 if order.reference.pages is None else order.reference.pages[0]
        pages = [await self._page(document, digest, first, policy)]
        last = _last(order.reference, pages[0].looks.pages)
        order.claim(last - first + 1)
        for number in range(first + 1, last + 1):
            order.admit(len(document.data) + max(len(page.data) for page in pages) * (last - first + 1))
            pages.append(await self._page(document, digest, number, policy))
        return pages

    async def _page(self, document: Medium, digest: str, number: int, policy: MediaPolicy) -> Medium:
        assert document.key is not None  # noqa: S101  # it was fetched
        limit, dpi = min(policy.max_pixels, policy.resize_to_pixels or policy.max_pixels), policy.document_dpi
        name = f"{digest}#page={number}&dpi={dpi}"
        key = CacheKey(document.key.project, "document", name, pixels=limit)

        async def make() -> Medium:
            new = await self._painter.draw(document.data, number, dpi, limit)
            looks = Looks(new.type, new.width, new.height, pages=new.pages)
            return msgspec.structs.replace(
                document, data=new.data, looks=looks, key=key, etag=None, changed=True, via=(), hash=None
            )

        self._check_failed(key)
        try:
            return await self.library.made(key, make)
        except FetchError as error:
            # A new one: this one holds the frames it comes through, and what they have in hand.
            self._failed[key] = (self._clock() + _REMEMBERED_SECONDS, FetchError(error.ending, error.why))
            while len(self._failed) > _MAX_REMEMBERED:
                self._failed.popitem(last=False)
            raise

    def _check_failed(self, key: CacheKey) -> None:
        until, error = self._failed.get(key, (0.0, None))
        if error is None:
            return
        if self._clock() < until:
            raise FetchError(error.ending, error.why)
        del self._failed[key]


def _picture(medium: Medium, reference: Reference) -> list[Medium]:
    """A picture that is only called .pdf is served as what it is."""
    if reference.pages is not None:
        raise FetchError("invalid", "is not a PDF document")
    return [medium]


def _last(reference: Reference, count: int) -> int:
    last = count if reference.pages is None else reference.pages[1]
    if last > count:
        raise FetchError("not_found", f"has no page {last:,}; its last one is {count:,}")
    return last
