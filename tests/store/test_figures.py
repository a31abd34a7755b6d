"""How much there is to do, the same in words of both databases."""

from __future__ import annotations

import msgspec
import pytest
from tests.store.scenes import LATE, NOW, OTHER, WORKER, add_batch, start_batch

from pronk.domain.shard import Progress, ShardState
from pronk.store.store import Store

pytestmark = pytest.mark.anyio


async def test_an_empty_database_has_nothing_to_do(store: Store) -> None:
    queue = await store.figures.queue(seen_since=0)
    assert {*queue.batches.values(), *queue.shards.values(), queue.lines, queue.workers} == {0}
    assert queue.oldest_at is None


async def test_the_queue_is_what_has_no_result(store: Store) -> None:
    await start_batch(store)
    await add_batch(store)
    before = await store.figures.queue(seen_since=0)
    found = await store.shards.claim("default", WORKER, until=LATE)
    assert found is not None
    await store.shards.report([(found[1].claim, Progress(1, 1))])
    await store.workers.see(WORKER, host="h", pid=1, now=NOW)
    await store.workers.see(OTHER, host="h", pid=2, now=NOW + 10)
    after = await store.figures.queue(seen_since=NOW + 5)
    assert msgspec.json.decode(msgspec.json.encode(after.batches)) == {
        "validating": 1,
        "in_progress": 1,
        "finalizing": 0,
        "cancelling": 0,
    }
    assert after.lines == before.lines - 2
    assert after.shards[ShardState.RUNNING] == 1
    assert after.shards[ShardState.PENDING] == before.shards[ShardState.PENDING] - 1
    assert before.oldest_at == NOW
    assert after.workers == 1


async def test_the_backlog_of_a_pool_is_what_waits_or_runs_and_a_batch_that_waits_for_intake(
    store: Store,
) -> None:
    assert await store.figures.backlog() == {}
    await start_batch(store, shards=5)
    await start_batch(store, shards=2, pool="other")
    await add_batch(store, pool="other")
    found = await store.shards.claim("default", WORKER, until=LATE)
    assert found is not None
    assert await store.figures.backlog() == {"default": 5, "other": 3}
    await store.shards.finish(found[1].claim, Progress(10, 0), now=NOW)
    assert await store.figures.backlog() == {"default": 4, "other": 3}
