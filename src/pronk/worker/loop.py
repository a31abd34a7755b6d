"""A worker: claims shards for every pool, keeps its leases, makes results durable, does whole-batch work in between."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial

import anyio
import anyio.abc
import msgspec
import structlog

from pronk.blobs import Blobs
from pronk.domain.batch import Batch, LineError
from pronk.domain.errors import ClaimLostError, InputLostError, OutageError
from pronk.domain.ids import BatchId, WorkerId
from pronk.domain.shard import Shard
from pronk.every import every
from pronk.inputs import read_cut
from pronk.journal import Journal
from pronk.store.duties import Duty
from pronk.store.store import Store
from pronk.telemetry.metrics import CLAIMS_LOST, SHARDS_CLAIMED
from pronk.worker.lane import Lane
from pronk.worker.lease import Lease
from pronk.worker.patience import patiently, postponing
from pronk.worker.shard import OpenShard
from pronk.worker.waiting import Waiting

log = structlog.get_logger()

CLOSERS = 4
"""Shards that may be made durable at the same time."""

SETTLED_HEARTBEATS = 3
"""Rounds of renewals after an outage before late leases of others are taken."""

MOST_LOOKS = 50
"""Looks a second for work of a kind, of all workers together."""

MAX_IDLE_SECONDS = 2.0

Key = tuple[BatchId, int, int]


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's times (seconds) and sizes (bytes)."""

    lease_seconds: float = 27.0
    heartbeat_seconds: float = 2.0
    flush_seconds: float = 1.0
    flush_bytes: int = 1024 * 1024
    idle_seconds: float = 0.2
    turn_seconds: float = 0.5
    grace_seconds: float = 30.0
    max_unflushed_bytes: int = 64 * 1024 * 1024

    def pause(self, workers: int) -> float:
        """Return how long one of so many rests that found nothing to do.

        Any of them finds what is new, so a fleet asks the database as often as `MOST_LOOKS` says, however large it is.
        """
        return max(self.idle_seconds, min(MAX_IDLE_SECONDS, workers / MOST_LOOKS))


class Worker:
    """One worker process's work. `duties` maps ``intake`` and ``finalize`` to what does them."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        lanes: Mapping[str, Lane],
        duties: Mapping[str, Callable[[Duty], Awaitable[None]]],
        *,
        worker_id: WorkerId,
        host: str,
        now: Callable[[], float],
        tuning: Tuning,
    ) -> None:
        self.id = worker_id
        self._host = host
        self._store = store
        self._blobs = blobs
        self._journal = Journal(blobs)
        self._lanes = lanes
        self._duties = duties
        self._now = now
        self._tuning = tuning
        self._full: Waiting[OpenShard] = Waiting()
        self._duty: Duty | None = None
        self._duty_scope = anyio.CancelScope()
        self._work_seen = anyio.Event()
        self._claimed: dict[Key, OpenShard | None] = {}
        self._closing: set[Key] = set()
        self._strays: set[Key] = set()
        self._unwanted: set[BatchId] = set()
        self._lease = Lease(now)
        self._renewed_at = float("-inf")
        self._unsettled = 0
        self._living = 1
        self._is_draining = False

    async def run(self, draining: anyio.Event) -> None:
        """Work until `draining` is set, then finish what runs within the grace time and give the rest back."""
        try:
            async with anyio.create_task_group() as group:
                await patiently(self._introduce, doing="introducing a worker")
                self._start(group)
                await draining.wait()
                await self._drain()
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(self._tuning.grace_seconds):
                await self._give_back()

    async def _introduce(self) -> None:
        """Be known before anything is held, so that it is freed at once when this process is seen to end."""
        seen = self._store.workers.see(self.id, host=self._host, pid=os.getpid(), now=self._now())
        self._living = await seen

    def _start(self, group: anyio.abc.TaskGroup) -> None:
        for name, lane in self._lanes.items():
            group.start_soon(lane.run)
            group.start_soon(self._feed, name, lane)
        for _ in range(CLOSERS):
            group.start_soon(self._close_full)
        tuning = self._tuning
        duties = postponing(self._do_duties, doing="whole-batch work")
        renew = postponing(self._renew, doing="renewing leases")
        flush = postponing(self._flush, doing="reporting progress")
        group.start_soon(partial(every, tuning.idle_seconds, duties, name="duties", sleep=self._idle))
        group.start_soon(partial(every, tuning.heartbeat_seconds, renew, name="leases"))
        group.start_soon(partial(every, tuning.flush_seconds, flush, name="journal"))

    async def _drain(self) -> None:
        log.info("draining", worker=self.id)
        self._is_draining = True
        for lane in self._lanes.values():
            lane.drain()
        with anyio.move_on_after(self._tuning.grace_seconds):
            while any(lane.in_flight for lane in self._lanes.values()) or self._duty is not None:  # noqa: ASYNC110  # once in a life
                await anyio.sleep(0.02)

    async def _give_back(self) -> None:
        """First make durable what is finished, which needs no database, then hand over what is held."""
        shards = [shard for shard in self._claimed.values() if shard is not None and not shard.is_lost]
        for shard in shards:
            shard.stop()
        for shard in shards:
            await shard.flush()
        for shard in shards:
            await self._close(shard)
        free = partial(self._store.shards.reclaim_of_worker, self.id)
        await patiently(free, doing="giving work back")

    # Opening shards

    async def _feed(self, pool: str, lane: Lane) -> None:
        """Keep a lane's lines ahead of its engine.

        Lines of a shard may be seconds of work for a slow engine. So a lane that has enough is asked about as well, now and
        then: a project whose turn it is and of which nothing is open here goes before the lines that wait.
        """
        while True:
            with anyio.move_on_after(self._tuning.turn_seconds):
                await lane.wait_until_hungry()
            beside = None if lane.is_hungry else lane.places
            if beside is not None and not lane.has_room_beside:
                continue
            await self._wait_for_flushes()
            until = self._now() + self._tuning.lease_seconds
            claim = partial(self._store.shards.claim, pool, self.id, until=until, workers=self._living)
            found = await patiently(partial(claim, beside=beside), doing="claiming a shard")
            if found is not None:
                SHARDS_CLAIMED.inc()
                self._claimed[found[1].key] = None
                await self._open(lane, *found, goes_first=beside is not None)
            elif beside is None:
                await self._idle()

    async def _open(self, lane: Lane, batch: Batch, shard: Shard, *, goes_first: bool) -> None:
        opened = OpenShard(batch, shard, self._journal, self._full.push)
        opened.goes_first = goes_first
        opened.flush_bytes = self._tuning.flush_bytes
        opened.lease = self._lease
        done: set[int] = set()
        if shard.claim.attempt > 1:
            done = await patiently(opened.recall, doing="reading a journal")
        self._claimed[opened.key] = opened
        try:
            data = await patiently(partial(self._read_lines, batch, shard), doing="reading an input file")
        except InputLostError as lost:
            await self._give_up(opened, lost)
            return
        if batch.id in self._unwanted:
            opened.stop()
        else:
            lane.add(opened, list(opened.requests(data, done)))
        if opened.left == 0 or opened.is_stopped:
            self._full.push(opened)

    async def _read_lines(self, batch: Batch, shard: Shard) -> bytes:
        file = await self._store.files.get(batch.project_id, batch.input_file_id, now=0)
        return await read_cut(self._blobs, file, shard.cut)

    async def _give_up(self, opened: OpenShard, lost: InputLostError) -> None:
        """End a batch whose input is not what was uploaded; what it has been answered so far is kept."""
        log.error("input_lost", batch=opened.batch.id, file=opened.batch.input_file_id, code=lost.code)
        opened.stop()
        fault = LineError(code=lost.code, message=lost.message, line=lost.line)
        stop = partial(self._store.batches.stop, opened.batch.id, [fault], now=int(self._now()))
        await patiently(stop, doing="stopping a batch")
        await self._close(opened)

    async def _wait_for_flushes(self) -> None:
        """While storage is away results pile up in memory: open nothing more until they are durable."""
        while sum(shard.unflushed_bytes for shard in self._open_shards()) > self._tuning.max_unflushed_bytes:  # noqa: ASYNC110
            await anyio.sleep(self._tuning.flush_seconds)

    async def _idle(self, _: float = 0.0) -> None:
        with anyio.move_on_after(self._tuning.pause(self._living)):
            await self._work_seen.wait()

    # Closing shards

    async def _close_full(self) -> None:
        while True:
            shard = await self._full.pop()
            if shard.is_lost:
                continue
            await shard.flush()
            if shard.is_durable or shard.is_stopped:
                await self._close(shard)

    async def _close(self, shard: OpenShard) -> None:
        """Finish a shard, or give back what is left of one that is stopped."""
        if self._claimed.pop(shard.key, None) is None:
            return
        self._lanes[shard.batch.job.engine].shards.pop(shard.key, None)
        self._closing.add(shard.key)
        try:
            if shard.is_durable:
                await self._finish(shard)
            else:
                give = partial(self._store.shards.release, shard.claim, shard.progress)
                await patiently(give, doing="giving a shard back")
        finally:
            self._closing.discard(shard.key)
        self._wake()

    async def _finish(self, shard: OpenShard) -> None:
        finish = partial(self._store.shards.finish, shard.claim, shard.progress, now=int(self._now()))
        try:
            await patiently(finish, doing="finishing a shard")
        except ClaimLostError as lost:
            _tell_lost(claim=str(lost))

    async def _flush(self) -> None:
        """Make durable what every open shard has finished, and say so."""
        flushed = [shard for shard in self._open_shards() if await shard.flush()]
        reports = [(shard.claim, shard.progress) for shard in flushed if not shard.is_durable]
        if reports:
            await self._store.shards.report(reports)

    def _open_shards(self) -> list[OpenShard]:
        return [shard for lane in self._lanes.values() for shard in lane.shards.values()]

    # Leases

    async def _renew(self) -> None:
        """Keep every lease; stop what is not ours or not wanted any more."""
        now = self._now()
        await self._introduce()
        before = {shard.key for shard in self._open_shards()}
        held = await self._store.shards.renew(self.id, until=now + self._tuning.lease_seconds)
        self._unwanted = {key[0] for key, is_wanted in held.items() if not is_wanted}
        for shard in self._open_shards():
            if shard.key in before and shard.key not in held:
                self._let_go(shard, is_lost=True)
            elif shard.batch.id in self._unwanted:
                self._let_go(shard, is_lost=False)
        self._lease.renew(now + self._tuning.lease_seconds)
        await self._free_strays(held.keys())
        await self._renew_duty(now + self._tuning.lease_seconds)
        if self._is_settled(now):
            await self._store.shards.reclaim(now=now)
        await self._store.batches.expire(now=int(now))

    def _let_go(self, shard: OpenShard, *, is_lost: bool) -> None:
        """What is finished of a cancelled or ended batch is kept, by those who may wait; a lost shard is somebody else's."""
        self._lanes[shard.batch.job.engine].drop(shard)
        if not is_lost:
            self._full.push(shard)
            return
        shard.is_lost = True
        self._claimed.pop(shard.key, None)
        _tell_lost(batch=shard.batch.id, shard=shard.cut.number)

    async def _free_strays(self, held: Collection[Key]) -> None:
        """Hand over what this worker holds and does not know: the answer to a claim or to its end was lost on the way.

        Only what was so at the last round as well: the answer to a claim may come a little after the claim.
        """
        unknown = {key for key in held if key not in self._claimed and key not in self._closing}
        strays, self._strays = unknown & self._strays, unknown
        if strays:
            await self._store.shards.disown(self.id, strays)

    def _is_settled(self, now: float) -> bool:
        """Whether the database has been there long enough for every living worker to have renewed its leases.

        After an outage all leases are late, and whoever is back first must not take the work of the others.
        """
        was_away = now - self._renewed_at > self._tuning.lease_seconds / 2
        self._renewed_at = now
        if self._unsettled:
            self._unsettled -= 1
        elif was_away:
            self._unsettled = SETTLED_HEARTBEATS
        return not self._unsettled

    # Whole-batch work

    async def _do_duties(self) -> None:
        """Do what there is; what fails without reason keeps its lease, so that it rests before somebody tries again."""
        while not self._is_draining:
            now = self._now()
            duty = await self._store.duties.claim(self.id, now=now, until=now + self._tuning.lease_seconds)
            if duty is None:
                return
            await self._do(duty)

    async def _do(self, duty: Duty) -> None:
        try:
            with anyio.CancelScope() as self._duty_scope:
                self._duty = duty
                await self._duties[duty.kind](duty)
        except ClaimLostError as lost:
            _tell_lost(claim=str(lost))
        except OutageError:
            await patiently(partial(self._store.duties.release, duty), doing="giving whole-batch work back")
            raise
        finally:
            self._duty = None
            self._wake()

    async def _renew_duty(self, until: float) -> None:
        """Keep the lease of the duty in hand; stop that one when it is lost, not the next, which may have begun meanwhile."""
        duty, scope = self._duty, self._duty_scope
        if duty is None:
            return
        try:
            await self._store.duties.renew(duty, until=until)
        except ClaimLostError:
            scope.cancel()

    def _wake(self) -> None:
        """Tell whoever idles that there may be work."""
        self._work_seen.set()
        self._work_seen = anyio.Event()


def _tell_lost(**claim: object) -> None:
    CLAIMS_LOST.inc()
    log.warning("claim_lost", **claim)
