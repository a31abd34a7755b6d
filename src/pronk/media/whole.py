"""Whole objects in and out of object stores, through the same policy, credentials, regions and tries as pictures.

Read in spans, so that a connection that breaks costs one span and memory stays that of one; written from a stream that can begin
anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

import msgspec

from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import OBJECT_SCHEMES, Reference, parse_reference
from pronk.media.buckets import Buckets, Open, headers_for, object_url, odd, signed_headers
from pronk.media.fetched import Ask, FetchError, TransientError
from pronk.media.level import Level, check_visible, fold, query_of_level, read_level, visible
from pronk.media.listing import PAGE, Entry, Page, list_keys, query_of, read_page
from pronk.media.objects import Span, list_objects, read_span, write_object
from pronk.media.policy import check_allowed, is_odd_key
from pronk.media.store_errors import error_of_status
from pronk.media.transport import Transport
from pronk.media.tries import Tries

_PAGE_ASK: Final = Ask(max_bytes=16 * 1024 * 1024, admit=lambda _: None)
SPAN_BYTES: Final = 8 * 1024 * 1024
ANY: Final = MediaPolicy()


class Whole:
    """Reads and writes objects, any number at the same time. Errors are MediaError with the codes of documents."""

    def __init__(self, stores: Buckets, transport: Transport, tries: Tries) -> None:
        self._stores = stores
        self._transport = transport
        self._tries = tries

    async def etag(self, text: str, policy: MediaPolicy = ANY) -> tuple[int, str]:
        """Return an object's size and what names its version."""
        span = await self._span(reference_of(text, policy), 0, None, 1)
        return span.size, span.etag or ""

    async def read(self, text: str, policy: MediaPolicy, max_bytes: int) -> AsyncIterator[bytes]:
        """Yield an object piece by piece; one over `max_bytes` fails before any of it is given."""
        reference = reference_of(text, policy)
        at, etag, size = 0, None, 1
        while at < size:
            span = await self._span(reference, at, etag, SPAN_BYTES)
            at, etag, size = at + len(span.data), span.etag, span.size
            if size > max_bytes:
                raise reference.failure("too_large", f"has {size:,} bytes, over the limit of {max_bytes:,}")
            if span.data:
                yield span.data

    async def write(self, text: str, chunks: Callable[[], AsyncIterator[bytes]]) -> None:
        """Store an object; `chunks` is called for each try. It is there only when it is whole."""
        reference = reference_of(text, ANY)
        if is_odd_key(reference.key):
            raise reference.failure("unsupported", "has empty or dotted path segments, which are not written")

        async def once(opened: Open) -> None:
            await write_object(opened.store, reference.key, chunks())

        await self._tries.run(reference, lambda: self._stores.served(reference, once))

    async def list(self, text: str, after: str = "") -> AsyncIterator[Entry]:
        """Yield the objects whose key begins with what stands behind the bucket, after the key `after`, in order."""
        reference, prefix = prefix_of(text)
        if reference.scheme == "s3":

            async def fetch(low: str) -> Page:
                return await self._tries.run(
                    reference,
                    lambda: self._stores.served(
                        reference, lambda opened: self._page(opened, query_of(prefix, low))
                    ),
                )

            entries = list_keys(fetch, prefix, after)
        else:
            entries = self._listed(reference, prefix, after)
        async with aclosing(entries) as found:  # type: ignore[type-var]  # both are generators
            async for entry in found:
                yield entry

    async def level(
        self, text: str, policy: MediaPolicy, after: str = "", *, count: int = PAGE, is_deep: bool = False
    ) -> Level:
        """Return up to `count` folders and objects right below a prefix that the policy lets be seen, after `after`.

        `is_deep` returns the objects of all levels below instead. Raises MediaError; ``document_not_allowed`` where nothing
        below the prefix could be read.
        """
        reference, prefix = prefix_of(text)
        check_visible(reference, prefix, policy)
        if reference.scheme == "s3":
            query = query_of_level(prefix, after, count, is_deep=is_deep)

            async def once(opened: Open) -> Level:
                return read_level(await self._listing(opened, query))

            found = await self._tries.run(reference, lambda: self._stores.served(reference, once))
        else:
            found = await fold(
                lambda low: self._listed(reference, prefix, low), prefix, after, count, is_deep=is_deep
            )
        return visible(found, reference, policy)

    async def _page(self, opened: Open, query: str) -> Page:
        return read_page(await self._listing(opened, query))

    async def _listing(self, opened: Open, query: str) -> bytes:
        if opened.place is None:
            raise FetchError("unsupported", "has no place to be listed")
        url = f"{opened.place.root()}/?{query}"
        reply = await self._transport.get(url, headers_for(opened, f"?{query}"), _PAGE_ASK)
        if reply.status != 200:
            raise error_of_status(reply.status, reply.body.decode("utf-8", "replace"), versioned=False)
        return reply.body

    async def _listed(self, reference: Reference, prefix: str, after: str) -> AsyncIterator[Entry]:
        async def opened(opened: Open) -> Open:
            return opened

        store = (await self._stores.served(reference, opened)).store
        async for key, size in list_objects(store, prefix, after):
            yield Entry(key, size)

    async def _span(self, reference: Reference, start: int, etag: str | None, count: int) -> Span:
        return await self._tries.run(
            reference,
            lambda: self._stores.served(
                reference, lambda opened: self._read(opened, reference, (start, count, etag))
            ),
        )

    async def _read(self, opened: Open, reference: Reference, wanted: tuple[int, int, str | None]) -> Span:
        """Read over our own connections where there are any: some servers answer parts with 200, which obstore refuses."""
        if opened.place is None:
            if is_odd_key(reference.key):
                raise odd(reference)
            return await read_span(opened.store, reference.key, reference.version, wanted)
        start, count, etag = wanted
        url = object_url(opened.place, reference)
        headers = signed_headers(opened, reference)
        if etag:
            headers["if-match"] = etag
        reply = await self._transport.peek(url, headers, count, start=start)
        if reply.status == 416:
            return Span(data=b"", size=0, etag=reply.headers.get("etag"))
        if reply.status not in {200, 206} or reply.size is None:
            text = reply.body.decode("utf-8", "replace")
            if reply.status == 412:
                raise FetchError("fetch_failed", "was changed while it was read")
            raise error_of_status(reply.status, text, versioned=reference.version is not None)
        if start and "content-range" not in reply.headers:
            raise FetchError("fetch_failed", "lies on a server that does not give parts of objects")
        if len(reply.body) != min(count, reply.size - start):
            raise TransientError("the body broke off")
        return Span(data=reply.body, size=reply.size, etag=reply.headers.get("etag"))


def prefix_of(text: str) -> tuple[Reference, str]:
    """Return a reference into the bucket that `text` names, and the prefix behind it. Raises MediaError."""
    scheme, _, rest = text.partition("://")
    bucket, _, prefix = rest.partition("/")
    return reference_of(f"{scheme}://{bucket}/{prefix or 'key'}", ANY), prefix


def reference_of(text: str, policy: MediaPolicy) -> Reference:
    """Return the reference of an object that is no medium; failures have the codes of documents."""
    try:
        reference = parse_reference(text, "image")
    except MediaError as error:
        raise MediaError(error.code.replace("image_", "document_"), error.message) from error
    reference = msgspec.structs.replace(reference, kind="document")
    if reference.scheme not in OBJECT_SCHEMES:
        raise reference.failure(
            "unsupported", "is not in an object store; write s3://bucket/key, gs:// or az://"
        )
    if reference.pages is not None:
        raise reference.failure("unsupported", "asks for pages; name the whole object")
    check_allowed(reference, policy)
    return reference
