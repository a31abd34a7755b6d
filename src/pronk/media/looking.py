"""A look at a reference without reading it: whether it may be read and is there, its size, type and region.

The same door as for reading: the policy decides first, then the same guards, credentials, limits of concurrency and
bounded tries; only the first few KiB come over the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from pronk.domain.job import MediaPolicy
from pronk.domain.reference import Kind, Reference, parse_reference
from pronk.media.datas import read_data_url
from pronk.media.fetched import Ask, FetchError, Glimpse, too_large
from pronk.media.head import HEAD_BYTES, look_at_head, look_at_whole
from pronk.media.lanes import Lanes
from pronk.media.policy import check_allowed, check_hops
from pronk.media.sniff import Looks
from pronk.media.tries import Tries


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an object; `bytes` None where its server does not say, a size of 0 x 0 where its head does not.

    `region` is that of the bucket, None for what lies elsewhere.
    """

    type: str
    bytes: int | None
    width: int = 0
    height: int = 0
    region: str | None = None


class Shown(Protocol):
    """A source that shows the beginning of an object."""

    def lane(self, reference: Reference) -> str:
        """Return what shares a limit of concurrent requests with it."""

    async def look(self, reference: Reference, ask: Ask) -> Glimpse:
        """Return the first bytes; raises FetchError or TransientError."""


class Looker:
    """Looks at any number of references at the same time."""

    def __init__(self, sources: Mapping[str, Shown], lanes: Lanes, tries: Tries) -> None:
        self._sources = sources
        self._lanes = lanes
        self._tries = tries

    async def look(self, text: str, kind: Kind, policy: MediaPolicy) -> Seen:
        """Return what a reference names. Raises MediaError as reading it would, as far as its beginning tells."""
        reference = parse_reference(text, kind)
        check_allowed(reference, policy)
        glimpse = await self._glimpse(reference, policy)
        check_hops(reference, glimpse.via, policy)
        try:
            return _seen(reference, glimpse, policy)
        except FetchError as error:
            raise reference.failure(error.ending, error.why) from error

    async def _glimpse(self, reference: Reference, policy: MediaPolicy) -> Glimpse:
        ask = Ask(max_bytes=policy.max_bytes, lists=policy.lists, admit=_nothing)
        if reference.scheme == "data":
            return await self._tries.run(reference, lambda: _inline(reference, ask))
        source = self._sources.get(reference.scheme)
        if source is None:
            raise reference.failure(
                "unsupported", f"uses {reference.scheme}://, which this server does not read"
            )
        lane = source.lane(reference)
        return await self._tries.run(
            reference, lambda: self._lanes.run(lane, lambda: source.look(reference, ask))
        )


async def _inline(reference: Reference, ask: Ask) -> Glimpse:
    data = read_data_url(reference, ask).data
    return Glimpse(size=len(data), head=data)


def _nothing(size: int) -> None:
    """Nothing is held, so any size is welcome here."""


def _seen(reference: Reference, glimpse: Glimpse, policy: MediaPolicy) -> Seen:
    if glimpse.size is not None and glimpse.size > policy.max_bytes:
        raise too_large(glimpse.size, policy.max_bytes)
    looks = _looks(reference, glimpse)
    if looks.width * looks.height > policy.max_pixels:
        raise FetchError(
            "too_large",
            f"has {looks.width} x {looks.height} pixels, over the limit of {policy.max_pixels:,}",
        )
    return Seen(
        type=looks.type,
        bytes=glimpse.size,
        width=looks.width,
        height=looks.height,
        region=glimpse.region,
    )


def _looks(reference: Reference, glimpse: Glimpse) -> Looks:
    is_whole = glimpse.size == len(glimpse.head) or len(glimpse.head) < HEAD_BYTES
    return look_at_whole(reference, glimpse.head) if is_whole else look_at_head(reference, glimpse.head)
