"""Deliveries: owed with the end of a batch, signed, tried for a day, in order, and never twice at once."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook as Verifier
from tests.worker.world import World, open_world, request_file

from pronk.domain.batch import Batch
from pronk.domain.errand import EVENTS, Errand, ErrandState, Webhook, delay_after
from pronk.domain.errors import MediaError
from pronk.domain.ids import DEFAULT_PROJECT, JobId, ProjectId, new_webhook_id
from pronk.domain.job import Job
from pronk.lifecycle.errands import Errands, Outlets, new_secret
from pronk.media.fetched import TransientError
from pronk.telemetry.metrics import DELIVERIES

pytestmark = pytest.mark.anyio


class Clock:
    """Time that tests move. It begins now, because verifiers refuse what is old."""

    def __init__(self, world: World) -> None:
        self.late = 0.0
        self._world = world

    def __call__(self) -> float:
        return self._world.now() + self.late


def errands(world: World, now: Clock) -> Errands:
    outlets = Outlets(post=world.media.hook, carrier=world.media.whole)
    return Errands(world.store, world.blobs, outlets, now=now, chance=lambda: 0.5)


async def a_webhook(world: World, **more: Any) -> Webhook:
    given = {"project_id": DEFAULT_PROJECT, "events": EVENTS, "url": "https://example.org/hook", **more}
    webhook = Webhook(
        id=new_webhook_id(), secret=new_secret(random.Random(1).randbytes), created_at=1, **given
    )
    await world.store.webhooks.add(webhook)
    return webhook


def counted() -> dict[str, float]:
    """How often each outcome of an event was counted so far."""
    return {
        outcome: DELIVERIES.labels("event", outcome)._value.get()
        for outcome in ("delivered", "failed", "given_up")
    }


async def run_batch(world: World, data: bytes, **more: Any) -> Batch:
    async with world.working():
        return await world.until_ended(await world.add_batch(data, **more))


async def of(world: World, batch: Batch) -> list[Errand]:
    return await world.store.errands.of_batch(batch.id)


async def test_an_event_is_signed_as_the_official_library_wants_it(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        webhook = await a_webhook(world)
        batch = await run_batch(world, request_file(3))
        await errands(world, Clock(world)).run_once()
        [(url, headers, body)] = world.media.hook.posted
        event = Verifier(webhook.secret).verify(body, headers)
        assert url == webhook.url
        assert event["type"] == "batch.completed"
        assert event["object"] == "event"
        assert event["data"] == {"id": batch.id}
        assert event["id"] == headers["webhook-id"]
        [errand] = await of(world, batch)
        assert (errand.state, errand.log[0].status) == (ErrandState.DELIVERED, 200)
        await errands(world, Clock(world)).run_once()
        assert len(world.media.hook.posted) == 1


@pytest.mark.parametrize(
    ("data", "more", "event"),
    [
        (b"no json\n", {}, "batch.failed"),
        (request_file(1, model="hold"), {"completion_window": "1m", "expires_at": 2}, "batch.expired"),
    ],
)
async def test_every_end_is_told(tmp_path: Path, data: bytes, more: dict[str, Any], event: str) -> None:
    async with open_world(tmp_path) as world:
        await a_webhook(world)
        batch = await run_batch(world, data, **more)
        assert [errand.subject for errand in await of(world, batch)] == [event]


async def test_a_cancel_is_told_and_only_to_who_asked(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await a_webhook(world, events=("batch.completed",))
        asked = await a_webhook(world, events=("batch.cancelled",))
        await world.store._database.write(
            lambda tx: tx.run("ensure_project", id="proj_other", name="other", now=1)
        )
        await a_webhook(world, project_id=ProjectId("proj_other"))
        batch_id = await world.add_batch(request_file(1))
        await world.store.batches.cancel(DEFAULT_PROJECT, batch_id, now=5)
        async with world.working():
            batch = await world.until_ended(batch_id)
        assert [(errand.target, errand.subject) for errand in await of(world, batch)] == [
            (asked.id, "batch.cancelled")
        ]


async def test_a_receiver_that_is_down_for_an_hour_gets_every_event(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        before = counted()
        await a_webhook(world)
        clock, batches = Clock(world), [await run_batch(world, request_file(1)) for _ in range(3)]
        world.media.hook.answers = [TransientError("the connection failed"), 500, 302, *[503] * 60]
        down = errands(world, clock)
        while clock.late < 3600:
            await down.run_once()
            clock.late += 30
        assert {(await of(world, batch))[0].state for batch in batches} == {ErrandState.PENDING}
        assert counted() == {**before, "failed": before["failed"] + len(world.media.hook.posted)}
        tries = [len((await of(world, batch))[0].log) for batch in batches]
        assert all(5 <= count <= 20 for count in tries)
        world.media.hook.answers.clear()
        clock.late += 3600
        await down.run_once()
        assert {(await of(world, batch))[0].state for batch in batches} == {ErrandState.DELIVERED}
        ids = [headers["webhook-id"] for _, headers, _ in world.media.hook.posted]
        assert set(ids[-3:]) == {(await of(world, batch))[0].id for batch in batches}
        assert len(set(ids)) == 3
        assert counted()["delivered"] == before["delivered"] + 3


async def test_after_a_day_a_delivery_is_given_up_and_says_why(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        before = counted()["given_up"]
        await a_webhook(world)
        clock, batch = Clock(world), await run_batch(world, request_file(1))
        down = errands(world, clock)
        for _ in range(60):
            world.media.hook.answers = [500]
            await down.run_once()
            clock.late += 1800
        [errand] = await of(world, batch)
        assert errand.state is ErrandState.FAILED
        assert errand.log[-1].error == "the receiver answered 500"
        assert clock.late > 86_400
        assert counted()["given_up"] == before + 1


async def test_a_worker_that_died_holds_a_delivery_no_longer_than_its_lease(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await a_webhook(world)
        await run_batch(world, request_file(1))
        clock = Clock(world)
        held = await world.store.errands.claim(now=clock(), until=clock() + 900)
        assert held is not None
        await errands(world, clock).run_once()
        assert world.media.hook.posted == []
        clock.late = 901
        await errands(world, clock).run_once()
        assert len(world.media.hook.posted) == 1
        assert not await world.store.errands.end(held, ErrandState.FAILED, (), now=1)


async def test_a_webhook_that_is_deleted_is_told_nothing_more(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        webhook = await a_webhook(world)
        batch = await run_batch(world, request_file(1))
        await world.store.webhooks.delete(DEFAULT_PROJECT, webhook.id)
        await errands(world, Clock(world)).run_once()
        assert (world.media.hook.posted, await of(world, batch)) == ([], [])


async def test_result_files_are_copied_and_a_copy_that_fails_is_tried_again(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        job = Job(id=JobId("job-default"), output="s3://out/results/")
        data = request_file(2) + request_file(1, model="status-400").replace(b"r-1", b"r-9")
        world.media.whole.refusals = [MediaError("document_fetch_failed", "the store is down")]
        batch = await run_batch(world, data, job=job)
        assert batch.status == "completed"
        clock = Clock(world)
        await errands(world, clock).run_once()
        assert len(world.media.whole.written) == 1
        clock.late = 10
        await errands(world, clock).run_once()
        copies = world.media.whole.written
        assert set(copies) == {f"s3://out/results/{batch.id}_{kind}.jsonl" for kind in ("output", "error")}
        whole = [msgspec.json.decode(line) for data in copies.values() for line in data.splitlines()]
        assert len(whole) == 3
        assert {errand.state for errand in await of(world, batch)} == {ErrandState.DELIVERED}


async def test_copies_go_to_folders_too_and_a_file_that_is_gone_is_given_up(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        job = Job(id=JobId("job-default"), output=f"file://{tmp_path}/out")
        first = await run_batch(world, request_file(1), job=job)
        await errands(world, Clock(world)).run_once()
        assert (tmp_path / "out" / f"{first.id}_output.jsonl").stat().st_size > 0
        second = await run_batch(world, request_file(1), job=job)
        assert second.output_file_id is not None
        await world.store.files.delete(DEFAULT_PROJECT, second.output_file_id)
        await errands(world, Clock(world)).run_once()
        [errand] = await of(world, second)
        assert (errand.state, "deleted" in str(errand.log[-1].error)) == (ErrandState.FAILED, True)


def test_waits_double_up_to_an_hour() -> None:
    assert [round(delay_after(tries, 0.5)) for tries in (1, 2, 3, 12, 1000)] == [5, 10, 20, 3600, 3600]
    assert delay_after(1, 0.0) < 5 < delay_after(1, 1.0)
