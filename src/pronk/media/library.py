"""Every object once: cache, one flight, bounded tries, a look at what came, and a change of pixels where it is wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import anyio.to_thread
import msgspec

from pronk.domain.errors import MediaError
from pronk.domain.ids import ProjectId
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import Reference
from pronk.media.aws import Identity
from pronk.media.cache import CacheKey, Medium, MemoryCache
from pronk.media.datas import read_data_url
from pronk.media.disk import DiskCache, content_hash
from pronk.media.fetched import Ask, Fetched, FetchError, Glimpse, too_large
from pronk.media.flight import Flights
from pronk.media.head import look_at_whole
from pronk.media.hedge import Hedge
from pronk.media.lanes import Lanes
from pronk.media.measured import Measured
from pronk.media.policy import check_hops
from pronk.media.sniff import Looks
from pronk.media.tries import Tries
from pronk.media.work import Changed

_FRESH_SECONDS = 60.0


_Flight = tuple[CacheKey, int, tuple[tuple[str, ...], ...]]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, under which policy, and since when (epoch seconds) an object must be known to be current.

    `fresh_since` None takes what was current within the last minute. `reads_files` says that whoever gets the bytes may
    open the files that the disk cache keeps.
    """

    project: ProjectId
    policy: MediaPolicy
    fresh_since: float | None = None
    reads_files: bool = False


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One reference wanted by one caller.

    `admit` hears sizes before bytes are read, `claim` how many pictures take the place of one; both may raise.
    `is_hashed` asks for the hash.
    """

    reference: Reference
    caller: Caller
    admit: Callable[[int], None]
    claim: Callable[[int], None]
    is_hashed: bool = False


class Source(Protocol):
    """Reads references of some schemes, one try at a time."""

    def name(self, reference: Reference) -> str:
        """Return what the reference is called in caches: itself, less what only signs it."""

    def lane(self, reference: Reference) -> str:
        """Return what shares a limit of concurrent fetches with it."""

    def identity(self, reference: Reference) -> Identity | None:
        """Return whose credentials read it."""

    async def check(self, reference: Reference) -> None:
        """Raise what `get` would for a reference that may not be followed, without following it."""

    async def get(self, reference: Reference, ask: Ask) -> Fetched | None:
        """Return the object, None if unchanged; raises FetchError or TransientError."""

    async def look(self, reference: Reference, ask: Ask) -> Glimpse:
        """Return the object's first bytes; raises FetchError or TransientError."""


class Changer(Protocol):
    """Changes pixels; raises FetchError for what cannot be decoded."""

    async def change(self, data: bytes, type_: str, max_pixels: int) -> Changed:
        """Return the first frame upright and at most `max_pixels` large."""


class Shelves(msgspec.Struct, frozen=True, kw_only=True):
    """What a library works with. `clock` gives epoch seconds; without `disk` objects are kept in memory only."""

    sources: dict[str, Source]
    memory: MemoryCache
    disk: DiskCache | None = None
    tries: Tries
    lanes: Lanes
    hedge: Hedge[Fetched | None]
    pictures: Changer
    measured: Measured
    clock: Callable[[], float]


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    """One caller's need of one object."""

    source: Source
    reference: Reference
    caller: Caller
    key: CacheKey
    admit: Callable[[int], None]

    def flight(self) -> _Flight:
        """Who may share one fetch: those who ask for the same under limits that decide in the same way."""
        return (
            self.key,
            self.caller.policy.max_bytes,
            () if self.reference.bucket else self.caller.policy.lists,
        )

    def ask(self, held: Medium | None) -> Ask:
        policy = self.caller.policy
        etag = held.etag if held is not None else None
        return Ask(max_bytes=policy.max_bytes, etag=etag, lists=policy.lists, admit=self.admit)


class Library:
    """All objects of a worker."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves
        self._flights: Flights[_Flight, Medium] = Flights()
        self._changes: Flights[CacheKey, Medium] = Flights()

    async def get(
        self, reference: Reference, caller: Caller, admit: Callable[[int], None]
    ) -> tuple[Medium, bool]:
        """Return the object as the engine gets it, and whether it was at hand. MediaError, or what `admit` raises."""
        medium, hit = await self._original(reference, caller, admit)
        check_hops(reference, medium.via, caller.policy)
        try:
            _check_limits(medium, caller.policy)
        except FetchError as error:
            raise reference.failure(error.ending, error.why) from error
        if not _needs_change(medium.looks, caller.policy):
            return medium, hit
        return await self._changed(reference, caller, medium), hit

    async def made(self, key: CacheKey, make: Callable[[], Awaitable[Medium]]) -> Medium:
        """Return what was made under this key before, or make it now, once for all who ask; what is made never ages."""
        memory, disk = self._shelves.memory, self._shelves.disk
        held = memory.find(key)
        if held is None and disk is not None:
            held = await disk.find(key)
        if held is None:
            held, is_first = await self._changes.run(key, make)
            if disk is not None and is_first:
                disk.offer(held)
        memory.put(key, held)
        return held

    async def check(self, reference: Reference) -> None:
        """Raise MediaError for a reference that an engine which fetches by itself must not be given."""
        source = self._source(reference)
        await self._shelves.tries.run(reference, lambda: source.check(reference))

    @property
    def keeps_files(self) -> bool:
        """Whether there is a disk cache with room."""
        return self._shelves.disk is not None and not self._shelves.disk.is_crowded

    async def file_of(self, medium: Medium) -> tuple[str, str]:
        """Return the ``file://`` URL of a local file with the object's bytes, and their hash; FetchError where nothing can be kept."""
        if self._shelves.disk is None:
            raise FetchError("fetch_failed", "cannot be handed over as a file: this server keeps no files")
        try:
            return await self._shelves.disk.file_of(medium)
        except OSError as error:
            raise FetchError(
                "fetch_failed", "cannot be handed over as a file: the disk is full or broken"
            ) from error

    async def hash_of(self, medium: Medium) -> str:
        """Return the hash of the object's bytes, and remember it."""
        if medium.hash is not None:
            return medium.hash
        digest = await anyio.to_thread.run_sync(content_hash, medium.data)
        if medium.key is not None and self._shelves.memory.find(medium.key) is medium:
            self._shelves.memory.put(medium.key, msgspec.structs.replace(medium, hash=digest))
        return digest

    async def _original(
        self, reference: Reference, caller: Caller, admit: Callable[[int], None]
    ) -> tuple[Medium, bool]:
        if reference.scheme == "data":
            return _inline(reference, caller, admit), True
        source = self._source(reference)
        key = CacheKey(caller.project, reference.kind, source.name(reference), source.identity(reference))
        held = self._shelves.memory.find(key)
        if held is not None and self._is_fresh(held, reference, caller):
            self._shelves.measured.hit("memory")
            return held, True
        wish = _Wish(source=source, reference=reference, caller=caller, key=key, admit=admit)
        medium, is_first = await self._flights.run(wish.flight(), partial(self._find_or_fetch, wish, held))
        if not is_first and not self._is_fresh(medium, reference, caller):
            medium, is_first = await self._flights.run(
                wish.flight(), lambda: self._find_or_fetch(wish, medium)
            )
        if not is_first:
            self._shelves.measured.hit("flight")
        return medium, not is_first

    async def _find_or_fetch(self, wish: _Wish, held: Medium | None) -> Medium:
        memory, disk = self._shelves.memory, self._shelves.disk
        if disk is not None and held is None:
            held = await disk.find(wish.key)
            if held is not None and self._is_fresh(held, wish.reference, wish.caller):
                memory.put(wish.key, held)
                self._shelves.measured.hit("disk")
                return held
        measured, scheme = self._shelves.measured, wish.reference.scheme
        began_at = measured.begin()
        try:
            medium = await self._shelves.tries.run(wish.reference, partial(self._try, wish, held))
        except MediaError as error:
            measured.failed(scheme, began_at, error)
            raise
        measured.fetched(scheme, began_at, held, medium)
        memory.put(wish.key, medium)
        if disk is not None:
            disk.offer(medium)
        return medium

    async def _try(self, wish: _Wish, held: Medium | None) -> Medium:
        started, reference, ask = self._shelves.clock(), wish.reference, wish.ask(held)
        get = partial(wish.source.get, reference, ask)
        lane = wish.source.lane(reference)
        fetched = await self._shelves.lanes.run(lane, partial(self._shelves.hedge.fetch, get))
        if fetched is None:
            if held is None:
                raise FetchError("fetch_failed", "was reported unchanged although that was not asked")
            return msgspec.structs.replace(held, current_at=started)
        return Medium(
            data=fetched.data,
            looks=look_at_whole(reference, fetched.data),
            etag=fetched.etag,
            current_at=started,
            key=wish.key,
            via=fetched.via,
        )

    async def _changed(self, reference: Reference, caller: Caller, medium: Medium) -> Medium:
        limit = caller.policy.resize_to_pixels
        if medium.key is None:
            return await self._change(reference, medium, limit)
        key = msgspec.structs.replace(medium.key, pixels=limit)
        held = self._shelves.memory.find(key)
        if held is None and self._shelves.disk is not None:
            held = await self._shelves.disk.find(key)
        if held is None or held.etag != medium.etag or held.current_at < medium.current_at:
            held, _ = await self._changes.run(key, lambda: self._change(reference, medium, limit))
            held = msgspec.structs.replace(held, key=key)
            if self._shelves.disk is not None:
                self._shelves.disk.offer(held)
        self._shelves.memory.put(key, held)
        return held

    async def _change(self, reference: Reference, medium: Medium, limit: int) -> Medium:
        try:
            new = await self._shelves.pictures.change(medium.data, medium.looks.type, limit)
        except FetchError as error:
            raise reference.failure(error.ending, error.why) from error
        looks = Looks(new.type, new.width, new.height)
        return msgspec.structs.replace(medium, data=new.data, looks=looks, changed=True, hash=None)

    def _source(self, reference: Reference) -> Source:
        source = self._shelves.sources.get(reference.scheme)
        if source is None:
            raise reference.failure(
                "unsupported", f"uses {reference.scheme}://, which this server does not read"
            )
        return source

    def _is_fresh(self, held: Medium, reference: Reference, caller: Caller) -> bool:
        if reference.version is not None:
            return True
        since = caller.fresh_since
        return held.current_at >= (self._shelves.clock() - _FRESH_SECONDS if since is None else since)


def _inline(reference: Reference, caller: Caller, admit: Callable[[int], None]) -> Medium:
    try:
        fetched = read_data_url(reference, Ask(max_bytes=caller.policy.max_bytes, admit=admit))
        return Medium(data=fetched.data, looks=look_at_whole(reference, fetched.data))
    except FetchError as error:
        raise reference.failure(error.ending, error.why) from error


def _check_limits(medium: Medium, policy: MediaPolicy) -> None:
    if len(medium.data) > policy.max_bytes:
        raise too_large(len(medium.data), policy.max_bytes)
    pixels = medium.looks.width * medium.looks.height
    if pixels > policy.max_pixels:
        size = f"{medium.looks.width} x {medium.looks.height}"
        raise FetchError("too_large", f"has {size} pixels, over the limit of {policy.max_pixels:,}")


def _needs_change(looks: Looks, policy: MediaPolicy) -> bool:
    if not looks.is_plain:
        return True
    return 0 < policy.resize_to_pixels < looks.width * looks.height
