"""Many at once, each with connections of its own: nothing goes to two, nothing happens twice, nothing is left undone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import anyio
import pytest
from tests.store.databases import Opener
from tests.store.scenes import (
    ENDING,
    LATE,
    NOW,
    a_batch,
    a_file,
    add_batch,
    ask,
    done,
    opened,
    start_batch,
    status_of,
    take,
    take_duty,
)

from pronk.domain.batch import BatchStatus
from pronk.domain.errors import ClaimLostError, ConflictError, NotFoundError
from pronk.domain.ids import DEFAULT_PROJECT, BatchId, WorkerId
from pronk.domain.shard import Claim
from pronk.store.batches import BatchPage
from pronk.store.database import Row, Transaction
from pronk.store.store import Store

pytestmark = pytest.mark.anyio

MANY = 8


@asynccontextmanager
async def crowd(opener: Opener) -> AsyncIterator[list[Store]]:
    """Open the database as many processes would."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(opened(opener())) for _ in range(MANY)]


async def at_once(works: list[Callable[[], Awaitable[object]]]) -> list[object]:
    """Run all together; errors that say who lost are answers too."""
    answers: list[object] = []

    async def run(work: Callable[[], Awaitable[object]]) -> None:
        try:
            answers.append(await work())
        except (ClaimLostError, ConflictError, NotFoundError) as lost:
            answers.append(type(lost))

    async with anyio.create_task_group() as group:
        for work in works:
            group.start_soon(run, work)
    return answers


async def counters(store: Store, batch_id: BatchId) -> tuple[int, int]:
    row = await ask(store, lambda tx: tx.one("get_claimed_batch", id=batch_id))
    return row["shards_pending"], row["shards_running"]


async def test_opening_at_once(opener: Opener) -> None:
    async with crowd(opener) as stores:
        await at_once([partial(store.open, now=NOW) for store in stores])
        assert len(await ask(stores[0], lambda tx: tx.all("list_moves"))) > 8


async def test_no_shard_goes_to_two_and_none_is_left(opener: Opener) -> None:
    async with crowd(opener) as stores:
        wanted = set()
        for shards in (1, 5, 1, 20, 2):
            batch_id = await start_batch(stores[0], shards=shards)
            wanted |= {(batch_id, number) for number in range(shards)}
        claims: list[Claim] = []

        async def drain(number: int, store: Store) -> None:
            misses = 0
            while misses < 3:
                found = await store.shards.claim("default", WorkerId(f"worker_{number}"), until=LATE)
                misses = 0 if found else misses + 1
                claims.extend([found[1].claim] if found else [])

        await at_once([partial(drain, number, store) for number, store in enumerate(stores)])
        taken = [(claim.batch_id, claim.number) for claim in claims]
        assert sorted(taken) == sorted(wanted)
        assert all(claim.attempt == 1 for claim in claims)


async def test_the_last_shards_to_finish_at_once_start_one_finalizing(opener: Opener) -> None:
    async with crowd(opener) as stores:
        for _ in range(3):
            batch_id = await start_batch(stores[0], shards=MANY)
            claims = [await take(store) for store in stores]
            answers = await at_once(
                [
                    partial(store.shards.finish, claim, done(10), now=NOW)
                    for store, claim in zip(stores, claims, strict=True)
                ]
            )
            assert sorted(map(bool, answers)) == [False] * (MANY - 1) + [True]
            assert await counters(stores[0], batch_id) == (0, 0)
            duties = await at_once(
                [partial(store.duties.claim, WorkerId("w"), now=NOW, until=LATE) for store in stores]
            )
            (duty,) = [duty for duty in duties if duty]
            await stores[0].duties.end_batch(duty, ENDING, now=NOW)  # type: ignore[arg-type]


async def test_a_key_used_by_all_at_once_gives_one_batch(opener: Opener) -> None:
    async with crowd(opener) as stores:
        file = a_file()
        await stores[0].files.add(file)
        ids = await at_once(
            [partial(store.batches.add, a_batch(file.id), idempotency=("k", "f")) for store in stores]
        )
        assert len(ids) == MANY
        assert [batch.id for batch in await stores[0].batches.page(DEFAULT_PROJECT, BatchPage())] == [ids[0]]
        assert set(ids) == {ids[0]}


async def test_a_file_is_deleted_or_used_and_never_both(opener: Opener) -> None:
    async with crowd(opener) as stores:
        for _ in range(5):
            file = a_file()
            await stores[0].files.add(file)
            adds = [partial(store.batches.add, a_batch(file.id)) for store in stores[:4]]
            await at_once([*adds, partial(stores[5].files.delete, DEFAULT_PROJECT, file.id)])
            users = await ask(stores[0], partial(_user_of, file.id))
            assert (users is None) is not await stores[0].chores.has_file(file.id)


def _user_of(file_id: str, tx: Transaction) -> Row | None:
    return tx.one("find_live_batch_of_file", file_id=file_id)


async def test_cancel_finish_expire_and_end_agree_on_one_history(opener: Opener) -> None:
    async with crowd(opener) as stores:
        for round_ in range(6):
            store = stores[0]
            batch_id = await start_batch(store, shards=2, expires_at=NOW + 600)
            claims = [await take(store), await take(store)]
            await at_once(
                [
                    partial(stores[1].shards.finish, claims[0], done(10), now=NOW),
                    partial(stores[2].shards.finish, claims[1], done(10), now=NOW),
                    partial(stores[3].batches.cancel, DEFAULT_PROJECT, batch_id, now=NOW),
                    partial(stores[4].batches.expire, now=NOW + 600 if round_ % 2 else NOW),
                    partial(_end, stores[5]),
                    partial(_end, stores[6]),
                ]
            )
            while (status := await status_of(store, batch_id)) in {"in_progress", "finalizing", "cancelling"}:
                await _end(store)
            assert status in {BatchStatus.CANCELLED, BatchStatus.COMPLETED, BatchStatus.EXPIRED}
            assert await counters(store, batch_id) == (0, 0)
            assert await store.shards.of_batch(batch_id) == []


async def _end(store: Store) -> None:
    duty = await store.duties.claim(WorkerId("w"), now=NOW, until=LATE)
    if duty:
        await store.duties.end_batch(duty, ENDING, now=NOW)


async def test_reclaiming_at_once_frees_each_shard_once(opener: Opener) -> None:
    async with crowd(opener) as stores:
        ids = [await start_batch(stores[0], shards=6) for _ in range(3)]
        for _ in range(18):
            await take(stores[0], until=NOW)
        freed = await at_once([partial(store.shards.reclaim, now=NOW) for store in stores])
        freed.append(await stores[0].shards.reclaim(now=NOW))
        assert sum(count for count in freed if isinstance(count, int)) == 18
        assert [await counters(stores[0], batch_id) for batch_id in ids] == [(6, 0)] * 3


async def test_a_storm_ends_with_every_shard_done_once(opener: Opener) -> None:
    async with crowd(opener) as stores:
        ids = [await start_batch(stores[0], shards=8) for _ in range(4)]
        finished: list[tuple[str, int]] = []

        async def work(number: int, store: Store) -> None:
            worker = WorkerId(f"worker_{number}")
            for step in range(200):
                found = await store.shards.claim(
                    "default", worker, until=NOW if step % 5 == number % 5 else LATE
                )
                await store.shards.reclaim(now=NOW)
                await store.shards.renew(worker, until=NOW + 1)
                if found is None:
                    return
                claim = found[1].claim
                if (step + number) % 4 == 0:
                    await store.shards.release(claim, done(1))
                    continue
                try:
                    await store.shards.finish(claim, done(10), now=NOW)
                except ClaimLostError:
                    continue
                finished.append((claim.batch_id, claim.number))

        await at_once([partial(work, number, store) for number, store in enumerate(stores)])
        await stores[0].shards.reclaim(now=LATE)
        await work(9, stores[0])
        assert sorted(finished) == sorted((batch_id, number) for batch_id in ids for number in range(8))
        assert {await status_of(stores[0], batch_id) for batch_id in ids} == {BatchStatus.FINALIZING}


async def test_a_chore_and_an_intake_go_to_one(opener: Opener) -> None:
    async with crowd(opener) as stores:
        await add_batch(stores[0])
        chores = await at_once([partial(store.chores.claim, "x", now=NOW, every=60) for store in stores])
        assert sorted(map(bool, chores)) == [False] * (MANY - 1) + [True]
        duties = await at_once([partial(take_or_none, store) for store in stores])
        assert len([duty for duty in duties if duty]) == 1


async def take_or_none(store: Store) -> object:
    return await store.duties.claim(WorkerId("w"), now=NOW, until=LATE)


async def test_a_claim_beside_a_cancel_takes_all_or_nothing(opener: Opener) -> None:
    async with crowd(opener) as stores:
        for _ in range(5):
            batch_id = await start_batch(stores[0], shards=4)
            await at_once(
                [
                    *[
                        partial(store.shards.claim, "default", WorkerId("w"), until=LATE)
                        for store in stores[1:5]
                    ],
                    partial(stores[0].batches.cancel, DEFAULT_PROJECT, batch_id, now=NOW),
                ]
            )
            held = await stores[0].shards.renew(WorkerId("w"), until=LATE)
            assert await counters(stores[0], batch_id) == (4 - len(held), len(held))
            await stores[0].shards.reclaim_of_worker(WorkerId("w"))
            await stores[0].duties.end_batch(await take_duty(stores[0]), ENDING, now=NOW)
