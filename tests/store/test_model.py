"""Random histories of claims, losses, cancels and ends: the store does what a small model does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from tests.store.databases import Opener
from tests.store.model import LEASE, BatchModel, Model, ShardModel
from tests.store.scenes import ENDING, NOW, add_batch, ask, cuts, done, take_duty

from pronk.domain.errors import ClaimLostError, ConflictError
from pronk.domain.ids import DEFAULT_PROJECT, BatchId, WorkerId
from pronk.domain.shard import Claim
from pronk.store.database import Database, Row, Transaction
from pronk.store.duties import Duty
from pronk.store.store import Store

T = TypeVar("T")

WORKERS = st.sampled_from([WorkerId("worker_a"), WorkerId("worker_b")])
LINES = st.integers(0, 10)
TABLES = ("shard", "batch", "share", "file")


class Lifecycle(RuleBasedStateMachine):
    """Each rule does one thing to the store and to the model, and compares the answers."""

    opener: Opener
    store: Store
    portal: BlockingPortal
    batch_ids: Bundle[BatchId] = Bundle("batch_ids")
    claims: Bundle[Claim] = Bundle("claims")
    duties: Bundle[Duty] = Bundle("duties")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.now = NOW
        self.call(self.store._database.write, _wipe)

    def call(self, deed: Callable[..., Awaitable[T]], *arguments: Any, **named: Any) -> T:
        async def run() -> T:
            return await deed(*arguments, **named)

        return self.portal.call(run)

    @rule(target=batch_ids, shards=st.integers(1, 3), window=st.sampled_from([None, 20, 100]))
    def start(self, shards: int, window: int | None) -> BatchId:
        expires_at = None if window is None else self.now + window
        batch_id = self.call(add_batch, self.store, created_at=self.now, expires_at=expires_at)
        self.call(self._take_in, batch_id, shards)
        self.model.batches[batch_id] = BatchModel([ShardModel() for _ in range(shards)], expires_at)
        return batch_id

    async def _take_in(self, batch_id: BatchId, shards: int) -> None:
        """Do its intake, and give back other work that was due before it."""
        others = []
        while (duty := await take_duty(self.store, now=self.now)).batch_id != batch_id:
            others.append(duty)
        await self.store.duties.start_batch(duty, cuts(shards), model=None, now=self.now)
        for other in others:
            self.model.claim_duty(other.batch_id, "", 0)
            await self.store.duties.release(other)

    @rule(target=claims, worker=WORKERS)
    def claim(self, worker: WorkerId) -> Any:
        allowed = self.model.claimable()
        found = self.call(self.store.shards.claim, "default", worker, until=self.now + LEASE)
        assert (found is None) == (not allowed)
        if found is None:
            return multiple()
        claim = found[1].claim
        assert (claim.batch_id, claim.number) in allowed
        assert claim.attempt == self.model.claim(claim.batch_id, claim.number, worker, self.now + LEASE)
        return claim

    @rule(claim=claims, lines=LINES)
    def finish(self, claim: Claim, lines: int) -> None:
        shard = self.model.holds(claim.batch_id, claim.number, claim.attempt, claim.worker_id)
        try:
            answer = self.call(self.store.shards.finish, claim, done(lines, tokens=lines), now=self.now)
        except ClaimLostError:
            assert shard is None
        else:
            assert shard is not None
            assert answer == self.model.finish(claim.batch_id, shard, lines)

    @rule(claim=claims, lines=LINES)
    def release(self, claim: Claim, lines: int) -> None:
        shard = self.model.holds(claim.batch_id, claim.number, claim.attempt, claim.worker_id)
        self.call(self.store.shards.release, claim, done(lines))
        if shard:
            self.model.release(shard, lines)

    @rule(claim=claims, lines=LINES)
    def report(self, claim: Claim, lines: int) -> None:
        shard = self.model.holds(claim.batch_id, claim.number, claim.attempt, claim.worker_id)
        lost = self.call(self.store.shards.report, [(claim, done(lines))])
        assert lost == ([] if shard else [claim])
        if shard:
            shard.completed = lines

    @rule(worker=WORKERS)
    def renew(self, worker: WorkerId) -> None:
        held = self.call(self.store.shards.renew, worker, until=self.now + LEASE)
        expected = {}
        for batch_id, batch in self.model.batches.items():
            for number, shard in enumerate(batch.shards):
                if shard.state == "running" and shard.worker == worker:
                    shard.until = self.now + LEASE
                    expected[batch_id, number, shard.attempt] = batch.status == "in_progress"
        assert held == expected

    @rule(seconds=st.integers(1, LEASE))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def reclaim(self) -> None:
        assert self.call(self.store.shards.reclaim, now=self.now) == self.model.reclaim(self.now)

    @rule()
    def expire(self) -> None:
        assert set(self.call(self.store.batches.expire, now=self.now)) == self.model.expire(self.now)

    @rule(batch_id=batch_ids)
    def cancel(self, batch_id: BatchId) -> None:
        can = self.model.cancel(batch_id)
        try:
            self.call(self.store.batches.cancel, DEFAULT_PROJECT, batch_id, now=self.now)
        except ConflictError:
            assert not can
        else:
            assert can

    @rule(target=duties, worker=WORKERS)
    def claim_duty(self, worker: WorkerId) -> Any:
        allowed = self.model.duties(self.now)
        duty = self.call(self.store.duties.claim, worker, now=self.now, until=self.now + LEASE)
        assert (duty is None) == (not allowed)
        if duty is None:
            return multiple()
        assert duty.batch_id in allowed
        assert duty.attempt == self.model.claim_duty(duty.batch_id, worker, self.now + LEASE)
        return duty

    @rule(duty=duties)
    def end(self, duty: Duty) -> None:
        expected = self.model.end(duty.batch_id, duty.attempt, duty.worker_id)
        try:
            assert self.call(self.store.duties.end_batch, duty, ENDING, now=self.now) == expected
        except ClaimLostError:
            assert expected is None

    @rule(worker=WORKERS)
    def is_seen_to_end(self, worker: WorkerId) -> None:
        assert self.call(self.store.shards.reclaim_of_worker, worker) == self.model.lose(worker)

    @rule(worker=WORKERS, deed=st.sampled_from(["claim", "claim_duty", "renew", "reclaim", "end"]))
    def crash(self, worker: WorkerId, deed: str) -> None:
        """The process dies before its COMMIT: for the one that comes after it nothing has happened."""
        dying = Store(_Dying(self.store._database))
        until = self.now + LEASE
        deeds: dict[str, Callable[[], Awaitable[object]]] = {
            "claim": lambda: dying.shards.claim("default", worker, until=until),
            "claim_duty": lambda: dying.duties.claim(worker, now=self.now, until=until),
            "renew": lambda: dying.shards.renew(worker, until=until),
            "reclaim": lambda: dying.shards.reclaim(now=self.now),
            "end": lambda: dying.shards.reclaim_of_worker(worker),
        }
        with pytest.raises(_DeathError):
            self.call(deeds[deed])
        self.call(self.store.close)
        Lifecycle.store = Store(Lifecycle.opener())
        self.call(self.store.open, now=NOW)

    @invariant()
    def rows_are_as_in_the_model(self) -> None:
        for batch_id, batch in self.model.batches.items():
            row = self.call(ask, self.store, partial(_batch, batch_id))
            assert row["status"] == batch.status
            if batch.shards:
                counts = (row["shards_pending"], row["shards_running"], row["live_completed"])
                assert counts == (batch.pending, batch.running, batch.completed)


class _DeathError(Exception):
    """The process is no more."""


class _Dying:
    """A `Database` whose process dies when its statements are done and not committed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, work: Callable[[Transaction], T], /) -> T:
        def die(tx: Transaction) -> T:
            work(tx)
            raise _DeathError

        return await self._database.write(die)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


def _batch(batch_id: str, tx: Transaction) -> Row | None:
    return tx.one("get_batch", id=batch_id, project_id=None)


def _wipe(tx: Any) -> None:
    for table in TABLES:
        tx._connection.execute(f"DELETE FROM {table}")  # noqa: S608  # a constant


@pytest.mark.timeout(300)
def test_every_history_is_one_of_the_model(opener: Opener, database_url: str) -> None:
    _histories(opener, 40 if database_url.startswith("sqlite") else 15, steps=30)


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_thousands_of_histories_are_those_of_the_model(opener: Opener, database_url: str) -> None:
    _histories(opener, 5000 if database_url.startswith("sqlite") else 500, steps=50)


def _histories(opener: Opener, examples: int, *, steps: int) -> None:
    with start_blocking_portal() as portal:
        Lifecycle.portal, Lifecycle.opener = portal, staticmethod(opener)
        Lifecycle.store = Store(opener())
        portal.call(lambda: Lifecycle.store.open(now=NOW))
        run_state_machine_as_test(
            Lifecycle,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        portal.call(Lifecycle.store.close)
