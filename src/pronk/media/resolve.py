"""The one door: a request body with references in, the body that the engine gets out, or a coded failure."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec

from pronk.domain.bucket import BucketRule, WebRules
from pronk.domain.errors import MediaError
from pronk.domain.ids import ProjectId
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import Kind, parse_reference
from pronk.media.addresses import Guard, interface_addresses
from pronk.media.aws import Chain
from pronk.media.buckets import Buckets
from pronk.media.budget import Budget, CrowdedError
from pronk.media.cache import MemoryCache
from pronk.media.deliver import Delivered, Deliverer
from pronk.media.direct import Direct, Proxied
from pronk.media.disk import DiskCache
from pronk.media.documents import Documents
from pronk.media.fetched import Fetched, Sleep
from pronk.media.files import Files
from pronk.media.hedge import Hedge
from pronk.media.hook import Hook
from pronk.media.lanes import Lanes
from pronk.media.library import Caller, Library, Order, Shelves, Source
from pronk.media.line import Line, Resolved, finished, gather, slots_of
from pronk.media.looking import Looker, Seen
from pronk.media.measured import Measured
from pronk.media.picture import OUR_CHILD, open_pictures
from pronk.media.refs import names_media
from pronk.media.regions import NoMemory, RegionMemory
from pronk.media.thumbs import Thumbs
from pronk.media.transport import Limits, open_transport
from pronk.media.tries import Tries
from pronk.media.web import Door, Lookup, Web, system_lookup
from pronk.media.whole import Whole
from pronk.telemetry import shown


class Doors(msgspec.Struct, frozen=True, kw_only=True):
    """The other ways to what references name: a look at it, its bucket, all of it, a small picture of it."""

    looker: Looker
    stores: Buckets
    whole: Whole
    hook: Hook
    thumbs: Thumbs


class Resolver:
    """Resolves bodies, any number at the same time. Safe to cancel at any point; then nothing stays taken.

    `media_dir` is the folder that an engine must be allowed to read where pictures are delivered as files.
    """

    def __init__(self, deliverer: Deliverer, budget: Budget, doors: Doors, media_dir: Path | None) -> None:
        self._deliverer = deliverer
        self._budget = budget
        self._looker = doors.looker
        self._stores = doors.stores
        self.whole = doors.whole
        self.hook = doors.hook
        self.thumbs = doors.thumbs
        self.media_dir = media_dir

    def names_media(self, body: bytes) -> bool:
        """Return whether `body` may name media: quick, and never wrong when it says no."""
        return names_media(body)

    async def resolve(
        self,
        body: bytes,
        *,
        endpoint: str,
        policy: MediaPolicy,
        project: ProjectId,
        fresh_since: float | None = None,
        with_uuid: bool = False,
        reads_files: bool = False,
    ) -> Resolved:
        """Return the body with every reference replaced as the policy says; close the answer when the engine is done.

        `fresh_since` (epoch seconds, such as a batch's creation) is when an object must have been current; None means a
        minute ago. `with_uuid` gives each part that has none the ``uuid`` by which vLLM knows a picture again;
        `reads_files` says that the engine was allowed to read `media_dir`, so that `auto` hands files over.
        Raises MediaError, whose `param` is the path of the reference that failed.
        """
        slots = slots_of(body, endpoint, policy, with_uuid=with_uuid)
        if not slots:
            return Resolved((body,))
        caller = Caller(project=project, policy=policy, fresh_since=fresh_since, reads_files=reads_files)
        line = Line(slots, caller, with_uuid=with_uuid)
        while True:
            line.lease = await self._budget.take(line.expected)
            try:
                delivered = await self._deliver_all(line)
            except CrowdedError:
                line.lease.close()
            except BaseException:
                line.lease.close()
                raise
            else:
                return finished(body, line, delivered)

    async def look(self, text: str, kind: Kind, policy: MediaPolicy) -> Seen:
        """Return what a reference names without reading it. Raises MediaError, as far as its first bytes tell."""
        return await self._looker.look(text, kind, policy)

    async def home_region(self) -> str:
        """Return the region that the standard AWS settings name."""
        return await self._stores.home_region()

    async def _deliver_all(self, line: Line) -> Sequence[Delivered]:
        if len(line.slots) == 1:
            return (await self._deliver(line, 0),)
        return await gather(len(line.slots), lambda index: self._deliver(line, index))

    async def _deliver(self, line: Line, index: int) -> Delivered:
        slot = line.slots[index]
        try:
            order = Order(
                reference=parse_reference(slot.text, slot.kind),
                caller=line.caller,
                admit=lambda size: line.admit(index, size),
                claim=lambda count: line.claim(index, count),
                is_hashed=line.with_uuid,
            )
            delivered = await self._deliverer.deliver(order)
        except MediaError as error:
            raise MediaError(error.code, error.message, param=slot.path, retriable=error.retriable) from error
        self._budget.learn(sum(one.fact.bytes for one in (delivered, *delivered.more)))
        return delivered


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What lies outside and tests replace: time (epoch seconds), ticks that time second tries, chance (0..1), waiting, names, and the AWS chain.

    `painter` is the command of picture children, None for ours. `forbidden` holds (address, port) pairs that no reference may reach: our own listeners, engines and databases.
    """

    clock: Callable[[], float] = time.time
    ticks: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    sleep: Sleep = anyio.sleep
    lookup: Lookup = system_lookup
    chain: Chain | None = None
    painter: tuple[str, ...] | None = None
    forbidden: tuple[tuple[str, int], ...] = ()


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much the media of a worker may take; `disk_bytes` is for all workers of a machine together."""

    in_flight_bytes: int = 128_000_000
    memory_bytes: int = 64_000_000
    disk_bytes: int = 10_000_000_000
    processes: int = 2
    picture_seconds: float = 20.0


@asynccontextmanager
async def open_resolver(
    *,
    buckets: Sequence[BucketRule] = (),
    web: WebRules | None = None,
    regions: RegionMemory | None = None,
    bounds: Bounds | None = None,
    folder: Path | None = None,
    outside: Outside | None = None,
) -> AsyncIterator[Resolver]:
    """Give a Resolver; everything that it opened is closed at the end.

    `folder` is where objects are kept on disk, shared by the workers of a machine; None keeps them in memory only.
    """
    web, bounds, outside = web or WebRules(), bounds or Bounds(), outside or Outside()
    limits = Limits(
        connect=web.connect_timeout,
        first_byte=web.first_byte_timeout,
        total=web.total_timeout,
        use_proxy=web.use_proxy,
        ca_file=web.ca_file,
    )
    guard = Guard(web.allow_private, interface_addresses(), outside.forbidden)
    door = Door(guard, outside.lookup, web.dns_timeout)
    async with AsyncExitStack() as stack:
        direct = await stack.enter_async_context(open_transport(limits))
        guarded = await stack.enter_async_context(open_transport(limits, door))
        pictures = await stack.enter_async_context(
            open_pictures(bounds.processes, bounds.picture_seconds, outside.painter or OUR_CHILD)
        )
        getter = Direct(limits)
        stack.callback(getter.close)
        stores = Buckets(
            buckets,
            direct,
            Proxied(direct) if limits.use_proxy else getter,
            memory=regions or NoMemory(),
            clock=outside.clock,
            limits=limits,
            chain=outside.chain,
        )
        pages = Web(web, guarded, door)
        sources: dict[str, Source] = {"s3": stores, "gs": stores, "az": stores, "https": pages, "http": pages}
        if web.file_folders:
            sources["file"] = Files(web.file_folders)
        tries = Tries(chance=outside.chance, sleep=outside.sleep)
        disk = DiskCache(folder, bounds.disk_bytes, outside.clock) if folder is not None else None
        hedge: Hedge[Fetched | None] = Hedge(outside.ticks)
        measured = Measured(outside.ticks)
        memory = MemoryCache(bounds.memory_bytes)
        budget = Budget(bounds.in_flight_bytes)
        lanes = Lanes(outside.clock)
        library = Library(
            Shelves(
                sources=sources,
                memory=memory,
                disk=disk,
                tries=tries,
                lanes=lanes,
                hedge=hedge,
                pictures=pictures,
                measured=measured,
                clock=outside.clock,
            )
        )
        documents = Documents(library, pictures, outside.clock)
        deliverer = Deliverer(documents, stores, tries, outside.clock)
        doors = Doors(
            looker=Looker(sources, lanes, tries),
            stores=stores,
            whole=Whole(stores, direct, tries),
            hook=Hook(pages, guarded),
            thumbs=Thumbs(documents, pictures),
        )
        resolver = Resolver(deliverer, budget, doors, disk.objects if disk is not None else None)
        stack.enter_context(shown(lambda: measured.show(memory, budget)))
        async with _running(hedge.run, *([disk.run] if disk is not None else [])):
            yield resolver


@asynccontextmanager
async def _running(*services: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run `services` beside the body of a with statement, whose errors leave it as they are, not in a group."""
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        for service in services:
            group.start_soon(service)
        try:
            yield
        except Exception as error:  # noqa: BLE001  # raised again below
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
