"""Who is served next: priority, near deadlines, then projects, jobs and batches by the work they were given."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from tests.store.scenes import (
    ELSEWHERE,
    LATE,
    NOW,
    WORKER,
    ask,
    done,
    start_batch,
    take,
)

from pronk.domain.ids import DEFAULT_PROJECT
from pronk.store import shares
from pronk.store.database import Transaction
from pronk.store.store import Store

pytestmark = pytest.mark.anyio


async def served(store: Store, count: int, *, tokens: int = 0) -> list[str]:
    """Claim and finish shards one after the other; return whose they were."""
    ids: list[str] = []
    for _ in range(count):
        claim = await take(store)
        ids.append(claim.batch_id)
        if tokens:
            await store.shards.finish(claim, done(10, tokens=tokens), now=NOW)
    return ids


async def test_a_small_batch_is_next_behind_ten_large_ones_of_another_project(store: Store) -> None:
    for _ in range(10):
        await start_batch(store, shards=100, lines=500, project=ELSEWHERE)
    await served(store, 25)
    small = await start_batch(store)
    assert small in await served(store, 2)


async def test_who_has_enough_of_one_project_is_given_only_others_whose_turn_it_is(store: Store) -> None:
    large = [await start_batch(store, shards=100, lines=500, project=ELSEWHERE) for _ in range(10)]
    assert await served(store, 1) == large[:1]
    beside = {(0, ELSEWHERE)}
    assert await store.shards.claim("default", WORKER, until=LATE, beside=beside) is None
    small = await start_batch(store, shards=1)
    found = await store.shards.claim("default", WORKER, until=LATE, beside=beside)
    assert found is not None
    assert found[0].id == small
    assert await store.shards.claim("default", WORKER, until=LATE, beside=beside) is None
    urged = await start_batch(store, shards=1, project=ELSEWHERE, priority=1)
    found = await store.shards.claim("default", WORKER, until=LATE, beside=beside)
    assert found is not None
    assert found[0].id == urged


async def test_who_was_served_much_more_is_not_let_in_between(store: Store) -> None:
    ahead = await start_batch(store, shards=9, lines=500)
    behind = await start_batch(store, shards=9, lines=500, project=ELSEWHERE)
    claims = [await take(store) for _ in range(6)]
    for claim in claims:
        cost = 2_000_000 if claim.batch_id == ahead else 0
        await store.shards.finish(claim, done(500, tokens=cost), now=NOW)
    assert {claim.batch_id for claim in claims} == {ahead, behind}
    assert await store.shards.claim("default", WORKER, until=LATE, beside={(0, ELSEWHERE)}) is None
    assert await store.shards.claim("default", WORKER, until=LATE, beside={(0, DEFAULT_PROJECT)}) is not None


async def test_who_joined_while_others_had_paid_ahead_is_let_in_when_they_get_it_back(store: Store) -> None:
    await start_batch(store, shards=9, lines=500, project=ELSEWHERE)
    paid = [await take(store), await take(store)]
    beside = {(0, ELSEWHERE)}
    small = await start_batch(store, shards=9)
    for _ in range(3):
        found = await store.shards.claim("default", WORKER, until=LATE, beside=beside)
        assert found is not None
        assert found[0].id == small
        await store.shards.finish(found[1].claim, done(10, tokens=1510), now=NOW)
        if paid:
            await store.shards.finish(paid.pop(), done(500, tokens=75_500), now=NOW)


async def test_who_joined_while_many_workers_had_paid_ahead_is_let_in_when_they_get_it_back(
    store: Store,
) -> None:
    await start_batch(store, shards=99, lines=500, project=ELSEWHERE)
    paid = [await take(store) for _ in range(20)]
    small = await start_batch(store)
    for claim in paid:
        await store.shards.finish(claim, done(500, tokens=75_500), now=NOW)
    let_in = partial(store.shards.claim, "default", WORKER, until=LATE, beside={(0, ELSEWHERE)})
    assert await let_in(workers=5) is None
    found = await let_in(workers=10)
    assert found is not None
    assert found[0].id == small


async def test_a_small_batch_is_next_behind_ten_large_ones_of_its_own_job(store: Store) -> None:
    for _ in range(10):
        await start_batch(store, shards=100, lines=500)
    await served(store, 25)
    small = await start_batch(store)
    assert small in await served(store, 11)


async def test_priority_goes_before_everything(store: Store) -> None:
    await start_batch(store, shards=5, expires_at=NOW + 4)
    await store.batches.expire(now=NOW + 3)
    urged = await start_batch(store, shards=3, priority=1, project=ELSEWHERE)
    low = await start_batch(store, shards=1, priority=-1)
    assert await served(store, 3) == [urged] * 3
    assert low not in await served(store, 5)
    assert await served(store, 1) == [low]


async def test_projects_share_alike_however_many_batches_they_have(store: Store) -> None:
    many = {await start_batch(store, shards=20) for _ in range(5)}
    one = await start_batch(store, shards=20, project=ELSEWHERE)
    counts = Counter("many" if batch_id in many else batch_id for batch_id in await served(store, 20))
    assert counts == {"many": 10, one: 10}


async def test_jobs_of_a_project_share_alike(store: Store) -> None:
    many = {await start_batch(store, shards=20) for _ in range(5)}
    one = await start_batch(store, shards=20, job="job-b")
    counts = Counter("many" if batch_id in many else batch_id for batch_id in await served(store, 20))
    assert counts == {"many": 10, one: 10}


async def test_work_is_tokens_and_not_lines(store: Store) -> None:
    heavy = await start_batch(store, shards=60)
    light = await start_batch(store, shards=60, project=ELSEWHERE)
    cost = {heavy: 19_000, light: 0}
    counts: Counter[str] = Counter()
    for _ in range(60):
        claim = await take(store)
        counts[claim.batch_id] += 1
        await store.shards.finish(claim, done(10, tokens=cost[claim.batch_id]), now=NOW)
    work = {
        batch_id: counts[batch_id] * (tokens + 10 * shares.LINE_EXTRA) for batch_id, tokens in cost.items()
    }
    assert counts[light] > 8 * counts[heavy] > 0
    assert abs(work[heavy] - work[light]) <= 40_000


async def test_work_that_was_not_done_is_not_paid_for(store: Store) -> None:
    batch_id = await start_batch(store, shards=2)

    async def paid() -> int:
        found = await ask(store, lambda tx: tx.one("get_claimed_batch", id=batch_id))
        return int(found["turn"])

    claim = await take(store)
    assert await paid() == 10 * shares.LINE_WORK
    await store.shards.release(claim, done(2, tokens=70))
    assert await paid() == 70 + 2 * shares.LINE_EXTRA
    claim = await take(store)
    assert await paid() == 70 + 2 * shares.LINE_EXTRA + 8 * shares.LINE_WORK
    await store.shards.report([(claim, done(3, tokens=80))])
    await store.shards.reclaim(now=LATE)
    assert await paid() == 80 + 3 * shares.LINE_EXTRA


async def test_who_comes_back_is_not_given_what_it_did_not_ask_for(store: Store) -> None:
    first = await start_batch(store, shards=1, project=ELSEWHERE)
    busy = await start_batch(store, shards=40)
    assert set(await served(store, 20)) == {first, busy}
    back = await start_batch(store, shards=40, project=ELSEWHERE)
    assert Counter(await served(store, 10)) == {back: 5, busy: 5}


async def test_a_newcomer_to_an_idle_pool_is_not_ahead_of_who_was_served_before(store: Store) -> None:
    await start_batch(store, shards=20)
    await served(store, 20)
    new = await start_batch(store, shards=20, project=ELSEWHERE)
    await served(store, 2)
    back = await start_batch(store, shards=20)
    counts = Counter(await served(store, 10))
    assert counts[back] >= 4
    assert counts[new] >= 4


async def test_urgent_batches_get_every_second_turn_the_nearest_deadline_first(store: Store) -> None:
    calm = await start_batch(store, shards=10)
    later = await start_batch(store, shards=2, expires_at=NOW + 100)
    sooner = await start_batch(store, shards=2, expires_at=NOW + 90)
    far = await start_batch(store, shards=2, expires_at=NOW + 10_000)
    assert await store.batches.expire(now=NOW + 80) == []
    order = await served(store, 8)
    assert order[0::2][:2] == [sooner, sooner]
    assert {calm, later, far} <= set(order)


async def test_a_batch_whose_shares_are_lost_is_served_all_the_same(store: Store) -> None:
    batch_id = await start_batch(store, shards=3)

    def forget(tx: Transaction) -> None:
        for parent, name in (("", DEFAULT_PROJECT), (DEFAULT_PROJECT, "job-a")):
            tx.run("deactivate_share", pool="default", priority=0, parent=parent, name=name, version=1)

    await store._database.write(forget)
    assert await served(store, 2) == [batch_id] * 2
