"""The parts every process needs, opened in order and closed in the other."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import anyio
import anyio.to_thread
import msgspec

from pronk.app.host import this_host
from pronk.app.own import own_addresses
from pronk.blobs import Blobs, open_blobs
from pronk.domain.ids import new_file_id, new_worker_id
from pronk.domain.retry import RetryPolicy
from pronk.engines.pool import Pool, open_pool
from pronk.every import every
from pronk.lifecycle.errands import Errands, Outlets
from pronk.lifecycle.finalize import Finalize
from pronk.lifecycle.intake import Intake, Limits
from pronk.lifecycle.reaper import Reaper
from pronk.media.regions import RegionMemory
from pronk.media.resolve import Bounds, Outside, Resolver, open_resolver
from pronk.settings import Settings
from pronk.store.database import Database
from pronk.store.duties import Duty
from pronk.store.opening import open_database
from pronk.store.store import Store
from pronk.worker.lane import Lane
from pronk.worker.loop import Tuning, Worker
from pronk.worker.patience import patiently
from pronk.worker.traced import make_runner

DAY_SECONDS = 86_400
CLOCK_SECONDS = 30.0
OPEN_SECONDS = 60.0
"""How long a server waits for a database on another machine when it starts."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What API and workers are made of."""

    settings: Settings
    store: Store
    blobs: Blobs
    pools: dict[str, Pool]
    resolver: Resolver


@asynccontextmanager
async def open_parts(settings: Settings, *, leaves_reserve: bool = False) -> AsyncIterator[Parts]:
    """Open everything that `settings` name. Engines have their URLs by now.

    Who runs batches beside a server says `leaves_reserve`: some of the engines' slots are for requests answered at once.
    """
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        blobs = open_blobs(settings.storage)
        opening = {name: _pool(settings, name, leaves_reserve=leaves_reserve) for name in settings.engines}
        pools = {name: await stack.enter_async_context(pool) for name, pool in opening.items()}
        resolver = await stack.enter_async_context(open_media(settings, store.regions))
        async with anyio.create_task_group() as group:
            for pool in pools.values():
                group.start_soon(pool.run)
            yield Parts(settings=settings, store=store, blobs=blobs, pools=pools, resolver=resolver)
            group.cancel_scope.cancel()


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the database, bring its schema up to date, and keep its clock."""
    store = Store(await _open_database(settings.database.reveal()), settings.limits)
    try:
        await store.open(now=int(time.time()))
        async with anyio.create_task_group() as group:
            group.start_soon(partial(every, CLOCK_SECONDS, store.set_clock, name="clock"))
            yield store
            group.cancel_scope.cancel()
    finally:
        await store.close()


async def _open_database(url: str) -> Database:
    """A server and its database may be started together: one that is far is waited for, though not for ever."""
    open_once = partial(anyio.to_thread.run_sync, open_database, url)
    if not url.startswith("sqlite:"):
        with anyio.move_on_after(OPEN_SECONDS):
            return await patiently(open_once, doing="opening the database")
    return await open_once()


def make_worker(parts: Parts) -> Worker:
    """Put a worker together."""
    settings = parts.settings
    duties: dict[str, Callable[[Duty], Awaitable[None]]] = {
        "intake": Intake(parts.store, parts.blobs, Limits.of(settings), now=parts.store.now),
        "finalize": Finalize(
            parts.store,
            parts.blobs,
            now=parts.store.now,
            new_file_id=new_file_id,
            retention_seconds=settings.file_retention_days * DAY_SECONDS,
        ),
    }
    return Worker(
        parts.store,
        parts.blobs,
        {name: _lane(parts, name) for name in parts.pools},
        duties,
        worker_id=new_worker_id(),
        host=this_host(),
        now=parts.store.now,
        tuning=_tuning(settings),
    )


def make_errands(parts: Parts) -> Errands:
    """Put deliveries together; any number of processes may make them."""
    outlets = Outlets(post=parts.resolver.hook, carrier=parts.resolver.whole)
    return Errands(parts.store, parts.blobs, outlets, now=parts.store.now, chance=random.random)


def make_reaper(parts: Parts) -> Reaper:
    """Put the reaper together; any number of processes may run one."""
    return Reaper(
        parts.store,
        parts.blobs,
        now=parts.store.now,
        audit_seconds=parts.settings.audit_retention_days * DAY_SECONDS,
    )


def _lane(parts: Parts, name: str) -> Lane:
    settings = parts.settings
    policy = RetryPolicy(max_tries=settings.engines[name].max_tries)
    runner = make_runner(
        parts.pools[name],
        parts.resolver,
        policy,
        chance=random.random,
        sleep=anyio.sleep,
        with_uuid=settings.engines[name].kind == "vllm",
        reads_files=settings.engines[name].reads_files,
    )
    return Lane(parts.pools[name], runner, fetchers=settings.fetch_concurrency)


def _tuning(settings: Settings) -> Tuning:
    return Tuning(
        lease_seconds=settings.lease_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        flush_seconds=settings.flush_seconds,
        flush_bytes=settings.flush_bytes,
        grace_seconds=settings.shutdown_grace_seconds,
    )


@asynccontextmanager
async def open_media(settings: Settings, regions: RegionMemory) -> AsyncIterator[Resolver]:
    """Open the door to references alone."""
    bounds = Bounds(
        in_flight_bytes=settings.prefetch_bytes,
        memory_bytes=settings.cache_memory_bytes,
        disk_bytes=settings.cache_disk_bytes,
    )
    async with open_resolver(
        buckets=settings.buckets,
        web=settings.web,
        regions=regions,
        bounds=bounds,
        folder=settings.data_dir / "cache" if settings.cache_disk_bytes else None,
        outside=Outside(forbidden=await own_addresses(settings)),
    ) as resolver:
        yield resolver


@asynccontextmanager
async def _pool(settings: Settings, name: str, *, leaves_reserve: bool) -> AsyncIterator[Pool]:
    key = settings.engine_key(name)
    spec = settings.engines[name]
    chance = random.Random()
    async with open_pool(
        spec,
        api_key=key.reveal() if key else None,
        clock=time.monotonic,
        chance=chance,
        workers=max(1, settings.workers),
        leaves_reserve=leaves_reserve,
    ) as pool:
        yield pool
