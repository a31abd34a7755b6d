"""Deliveries and webhooks, as every database remembers them."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.store.scenes import ELSEWHERE, ENDING, NOW, start_batch, take, take_duty

from pronk.domain.errand import EVENTS, Errand, ErrandState, ErrandTry, Webhook
from pronk.domain.errors import ConflictError, NotFoundError
from pronk.domain.ids import DEFAULT_PROJECT, new_webhook_id
from pronk.domain.shard import Progress
from pronk.store.errands import MAX_WEBHOOKS
from pronk.store.store import Store

pytestmark = pytest.mark.anyio


def a_webhook(**more: Any) -> Webhook:
    given = {"project_id": DEFAULT_PROJECT, "events": EVENTS, "url": "https://a.test", **more}
    return Webhook(id=new_webhook_id(), secret="whsec_x", created_at=NOW, **given)


async def end_batch(store: Store) -> str:
    batch_id = await start_batch(store)
    await store.shards.finish(await take(store), Progress(10, 0), now=NOW)
    duty = await take_duty(store)
    await store.duties.end_batch(duty, ENDING, now=NOW)
    return batch_id


async def claim(store: Store, now: float = NOW) -> Errand | None:
    return await store.errands.claim(now=now, until=now + 60)


async def test_webhooks_belong_to_their_project_and_are_bounded(store: Store) -> None:
    mine = a_webhook(events=("batch.failed",))
    await store.webhooks.add(mine)
    assert await store.webhooks.get(DEFAULT_PROJECT, mine.id) == mine
    assert await store.webhooks.list(ELSEWHERE) == []
    for deed in (store.webhooks.get, store.webhooks.delete):
        with pytest.raises(NotFoundError):
            await deed(ELSEWHERE, mine.id)
    for _ in range(MAX_WEBHOOKS - 1):
        await store.webhooks.add(a_webhook())
    with pytest.raises(ConflictError):
        await store.webhooks.add(a_webhook())
    await store.webhooks.add(a_webhook(project_id=ELSEWHERE))


async def test_a_delivery_is_owed_once_held_once_and_written_once(store: Store) -> None:
    webhook = a_webhook()
    await store.webhooks.add(webhook)
    batch_id = await end_batch(store)
    found: list[Errand | None] = []

    async def one() -> None:
        found.append(await claim(store))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(one)
    [held] = [errand for errand in found if errand is not None]
    assert (held.batch_id, held.target, held.subject, held.attempt) == (
        batch_id,
        webhook.id,
        "batch.completed",
        1,
    )
    tries = (ErrandTry(at=NOW, status=500, error="no"),)
    assert await store.errands.postpone(held, tries, until=NOW + 100)
    assert await claim(store, NOW + 99) is None
    later = await claim(store, NOW + 101)
    assert later is not None
    assert (later.attempt, later.log) == (2, tries)
    assert not await store.errands.end(held, ErrandState.FAILED, (), now=NOW)
    assert await store.errands.end(later, ErrandState.DELIVERED, tries, now=NOW + 101)
    assert await claim(store, NOW + 10_000) is None
    assert [errand.state for errand in await store.errands.of_batch(batch_id)] == [ErrandState.DELIVERED]
    assert await store.errands.forget(before=NOW + 100) == 0
    assert await store.errands.forget(before=NOW + 101) == 1


async def test_an_end_that_did_not_happen_owes_nothing(store: Store) -> None:
    await store.webhooks.add(a_webhook())
    await start_batch(store)
    await store.shards.finish(await take(store), Progress(10, 0), now=NOW)
    lost = await take_duty(store)
    await store.duties.release(lost)
    await take_duty(store, now=NOW + 100)
    with pytest.raises(Exception, match="finalizing"):
        await store.duties.end_batch(lost, ENDING, now=NOW)
    assert await claim(store) is None


async def test_what_is_owed_is_counted_by_kind(store: Store) -> None:
    async def owed() -> dict[str, int]:
        return (await store.figures.queue(seen_since=0)).deliveries

    await store.webhooks.add(a_webhook())
    before = await owed()
    await end_batch(store)
    assert await owed() == {**before, "event": before["event"] + 1}
    held = await claim(store)
    assert held is not None
    await store.errands.end(held, ErrandState.DELIVERED, (), now=NOW)
    assert await owed() == before
