"""Shards and whole-batch work are held by one worker at a time, and nobody else's word counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from tests.store.scenes import (
    ENDING,
    LATE,
    NOW,
    OTHER,
    WORKER,
    a_file,
    add_batch,
    cuts,
    done,
    start_batch,
    status_of,
    take,
    take_duty,
)

from pronk.domain.batch import BatchStatus, Counts
from pronk.domain.errors import ClaimLostError, ConflictError, StoreOutageError
from pronk.domain.ids import DEFAULT_PROJECT
from pronk.domain.usage import Usage
from pronk.store.database import Database, Transaction
from pronk.store.duties import Ending
from pronk.store.store import Store

T = TypeVar("T")
pytestmark = pytest.mark.anyio


async def test_shards_go_out_in_order_each_once(store: Store) -> None:
    batch_id = await start_batch(store, shards=3)
    assert [(await take(store, worker)).number for worker in (WORKER, OTHER, WORKER)] == [0, 1, 2]
    assert await store.shards.claim("default", OTHER, until=LATE) is None
    assert [attempt for _, attempt, _ in await store.shards.of_batch(batch_id)] == [1, 1, 1]


async def test_a_pool_gets_only_its_own(store: Store) -> None:
    await start_batch(store, pool="other")
    assert await store.shards.claim("default", WORKER, until=LATE) is None
    assert (await take(store, pool="other")).number == 0


async def test_the_last_shard_to_finish_starts_the_finalizing(store: Store) -> None:
    batch_id = await start_batch(store, shards=2)
    claims = [await take(store), await take(store, OTHER)]
    assert not await store.shards.finish(claims[1], done(10), now=NOW)
    assert await store.duties.claim(WORKER, now=NOW, until=LATE) is None
    assert await store.shards.finish(claims[0], done(9, failed=1, tokens=50), now=NOW + 5)
    batch = await store.batches.get(None, batch_id)
    assert (batch.status, batch.finalizing_at) == (BatchStatus.FINALIZING, NOW + 5)
    assert (batch.counts, batch.usage) == (Counts(20, 19, 1), Usage(50))


async def test_a_batch_ends_with_its_files_and_counts(store: Store) -> None:
    batch_id = await start_batch(store)
    await store.shards.finish(await take(store), done(10), now=NOW)
    output = a_file()
    ending = Ending(output=output, errors=None, counts=Counts(10, 8, 2), usage=Usage(1, 0, 2))
    assert await store.duties.end_batch(await take_duty(store), ending, now=NOW + 9) is BatchStatus.COMPLETED
    batch = await store.batches.get(None, batch_id)
    assert (batch.output_file_id, batch.error_file_id, batch.completed_at) == (output.id, None, NOW + 9)
    assert (batch.counts, batch.usage) == (Counts(10, 8, 2), Usage(1, 0, 2))
    assert await store.files.get(DEFAULT_PROJECT, output.id, now=NOW) == output
    assert await store.shards.of_batch(batch_id) == []
    with pytest.raises(ConflictError, match="completed"):
        await store.batches.cancel(DEFAULT_PROJECT, batch_id, now=NOW)


async def test_what_is_given_back_is_taken_by_the_next_with_what_was_done(store: Store) -> None:
    batch_id = await start_batch(store)
    first = await take(store)
    await store.shards.release(first, done(4))
    await store.shards.release(first, done(0))
    again = await take(store, OTHER)
    assert (again.number, again.attempt) == (0, 2)
    assert (await store.batches.get(None, batch_id)).counts == Counts(10, 4, 0)


async def test_a_claim_that_was_lost_changes_nothing(store: Store) -> None:
    batch_id = await start_batch(store, shards=2)
    late = await take(store, until=NOW)
    assert await store.shards.reclaim(now=NOW - 0.5) == 0
    assert await store.shards.reclaim(now=NOW) == 1
    mine = await take(store, OTHER)
    assert (mine.number, mine.attempt) == (late.number, 2)
    with pytest.raises(ClaimLostError):
        await store.shards.finish(late, done(10), now=NOW)
    assert await store.shards.report([(mine, done(1)), (late, done(9))]) == [late]
    await store.shards.release(late, done(9))
    assert await store.shards.renew(WORKER, until=LATE) == {}
    assert await store.shards.renew(OTHER, until=LATE) == {(batch_id, 0, 2): True}
    assert (await store.batches.get(None, batch_id)).counts == Counts(20, 1, 0)


async def test_renewing_keeps_a_lease_and_says_what_is_not_wanted(store: Store) -> None:
    batch_id = await start_batch(store, shards=2)
    kept = await take(store, until=NOW + 1)
    assert await store.shards.renew(WORKER, until=NOW + 30) == {(batch_id, 0, 1): True}
    assert await store.shards.reclaim(now=NOW + 29) == 0
    await store.batches.cancel(DEFAULT_PROJECT, batch_id, now=NOW)
    assert await store.shards.renew(WORKER, until=NOW + 60) == {(batch_id, 0, 1): False}
    assert await store.shards.claim("default", OTHER, until=LATE) is None
    await store.shards.release(kept, done(3))
    duty = await take_duty(store)
    assert await store.duties.end_batch(duty, ENDING, now=NOW) is BatchStatus.CANCELLED


async def test_a_worker_seen_to_end_holds_nothing_any_more(store: Store) -> None:
    waiting = await add_batch(store)
    duty = await take_duty(store)
    await store.duties.release(duty)
    await start_batch_of(store, waiting)
    await add_batch(store)
    await take_duty(store)
    mine, others = await take(store), await take(store, OTHER)
    await store.workers.see(WORKER, host="h", pid=1, now=NOW)
    assert await store.shards.reclaim_of_worker(WORKER) == 1
    assert await store.workers.of_host("h") == []
    assert await store.shards.renew(OTHER, until=LATE) == {(waiting, others.number, 1): True}
    assert (await take(store, OTHER)).number == mine.number
    await take_duty(store, OTHER)


class Deaf:
    """A database whose answers to writes are lost on the way while it is deaf."""

    def __init__(self, database: Database) -> None:
        self.is_deaf = False
        self.applied = database.applied
        self.read = database.read
        self.look = database.look
        self.close = database.close
        self.clock_difference = database.clock_difference
        self._database = database

    async def write(self, work: Callable[[Transaction], T], /) -> T:
        result = await self._database.write(work)
        if self.is_deaf:
            raise StoreOutageError("the answer was lost")
        return result


async def start_batch_of(store: Store, batch_id: str) -> None:
    duty = await take_duty(store)
    assert duty.batch_id == batch_id
    await store.duties.start_batch(duty, cuts(2), model=None, now=NOW)


async def test_a_duty_is_one_workers_until_its_lease_ends(store: Store) -> None:
    batch_id = await add_batch(store)
    duty = await take_duty(store)
    assert await store.duties.claim(OTHER, now=NOW + 59, until=LATE) is None
    await store.duties.renew(duty, until=NOW + 90)
    assert await store.duties.claim(OTHER, now=NOW + 89, until=LATE) is None
    taken = await take_duty(store, OTHER, now=NOW + 90)
    assert (taken.batch_id, taken.attempt) == (batch_id, duty.attempt + 1)
    with pytest.raises(ClaimLostError):
        await store.duties.renew(duty, until=LATE)
    with pytest.raises(ClaimLostError):
        await store.duties.start_batch(duty, cuts(1), model=None, now=NOW)
    with pytest.raises(ClaimLostError):
        await store.duties.fail_batch(duty, [], model=None, now=NOW)
    await store.duties.release(duty)
    assert await store.duties.claim(WORKER, now=NOW + 90, until=LATE) is None
    await store.duties.release(taken)
    assert (await take_duty(store)).attempt == taken.attempt + 1


async def test_small_files_are_taken_in_before_large_ones_of_about_the_same_time(store: Store) -> None:
    sizes = {"large": (500_000_000, NOW), "small": (1000, NOW + 60), "later": (1000, NOW + 600)}
    ids = {
        name: await add_batch(store, size=size, created_at=created) for name, (size, created) in sizes.items()
    }
    taken = [(await take_duty(store)).batch_id for _ in ids]
    assert taken == [ids["small"], ids["large"], ids["later"]]


async def test_a_cancelled_batch_takes_its_finalizing_from_whoever_had_it(store: Store) -> None:
    batch_id = await start_batch(store)
    await store.shards.finish(await take(store), done(10), now=NOW)
    duty = await take_duty(store)
    await store.batches.cancel(DEFAULT_PROJECT, batch_id, now=NOW + 1)
    await store.batches.cancel(DEFAULT_PROJECT, batch_id, now=NOW + 2)
    with pytest.raises(ClaimLostError):
        await store.duties.end_batch(duty, ENDING, now=NOW)
    assert await status_of(store, batch_id) is BatchStatus.CANCELLING
    assert len(await store.shards.of_batch(batch_id)) == 1
    assert await store.duties.end_batch(await take_duty(store), ENDING, now=NOW) is BatchStatus.CANCELLED


async def test_a_window_that_ends_stops_claims_and_ends_the_batch_as_expired(store: Store) -> None:
    batch_id = await start_batch(store, shards=2, expires_at=NOW + 600)
    claim = await take(store)
    assert await store.batches.expire(now=NOW + 599) == []
    assert await store.batches.expire(now=NOW + 600) == [batch_id]
    assert await store.batches.expire(now=NOW + 600) == []
    assert await store.shards.claim("default", OTHER, until=LATE) is None
    assert await store.duties.claim(WORKER, now=NOW, until=LATE) is None
    await store.shards.finish(claim, done(10), now=NOW)
    assert await store.duties.end_batch(await take_duty(store), ENDING, now=NOW) is BatchStatus.EXPIRED


async def test_a_claim_whose_answer_was_lost_is_given_again(store: Store) -> None:
    batch_id = await start_batch(store, shards=3)
    deaf = Deaf(store._database)
    hard_of_hearing = Store(deaf)
    await take(hard_of_hearing)
    deaf.is_deaf = True
    for _ in range(2):
        with pytest.raises(StoreOutageError):
            await take(hard_of_hearing)
    deaf.is_deaf = False
    assert [(await take(hard_of_hearing)).number for _ in range(2)] == [1, 2]
    assert sorted(await store.shards.renew(WORKER, until=LATE)) == [
        (batch_id, number, 1) for number in range(3)
    ]
