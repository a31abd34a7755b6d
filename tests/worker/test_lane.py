"""The lane of one pool: what it starts, and what it leaves alone once a shard is stopped."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

import anyio
import pytest
from tests.worker.world import CHAT, FakeMedia, request_file

from pronk.blobs import DiskBlobs
from pronk.domain.batch import Batch, BatchStatus
from pronk.domain.bodies import Body
from pronk.domain.ids import DEFAULT_PROJECT, new_batch_id, new_file_id, new_worker_id
from pronk.domain.job import DEFAULT_JOB, Job
from pronk.domain.retry import RetryPolicy
from pronk.domain.shard import Claim, Cut, Shard
from pronk.journal import Journal
from pronk.worker.lane import Lane
from pronk.worker.runner import Runner
from pronk.worker.shard import OpenShard

pytestmark = pytest.mark.anyio


class SilentEngine:
    """Never answers, and sends before it waits, as a connection that is already open does."""

    name = "silent"
    limit = 2
    is_out = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.changed = anyio.Event()

    async def wait_until_up(self) -> None:
        """It always is."""

    async def complete(
        self,
        path: str,  # noqa: ARG002
        body: Body,
        *,
        avoid: Collection[str] = (),  # noqa: ARG002
    ) -> NoReturn:
        assert isinstance(body, bytes)
        self.sent.append(body)
        self.changed.set()
        self.changed = anyio.Event()
        await anyio.sleep_forever()
        raise AssertionError


def open_shard(folder: Path, lines: int) -> OpenShard:
    batch = Batch(
        id=new_batch_id(),
        project_id=DEFAULT_PROJECT,
        status=BatchStatus.IN_PROGRESS,
        endpoint=CHAT,
        input_file_id=new_file_id(),
        completion_window="unlimited",
        job=Job(id=DEFAULT_JOB),
        created_at=1,
    )
    claim = Claim(batch.id, 1, 1, new_worker_id())
    shard = Shard(claim=claim, cut=Cut(1, 1, lines, 0, 1))
    return OpenShard(batch, shard, Journal(DiskBlobs(folder)), lambda _: None)


@pytest.mark.parametrize("ahead", [0, 3])
async def test_nothing_of_a_stopped_shard_is_sent(tmp_path: Path, ahead: int) -> None:
    engine = SilentEngine()
    runner = Runner(engine, FakeMedia(), RetryPolicy(max_tries=1), chance=lambda: 0.5, sleep=anyio.sleep)
    lane = Lane(engine, runner, fetchers=4)
    first, second = open_shard(tmp_path, 2 + ahead), open_shard(tmp_path, 5)
    lane.add(first, list(first.requests(request_file(2 + ahead), set())))
    async with anyio.create_task_group() as group:
        group.start_soon(lane.run)
        while len(engine.sent) < 2:
            await engine.changed.wait()
        stopped = open_shard(tmp_path, 5)
        lane.add(stopped, list(stopped.requests(request_file(5), set())))
        lane.drop(stopped)
        lane.add(second, list(second.requests(request_file(5, model="second"), set())))
        lane.drop(first)
        while len(engine.sent) < 4:
            await engine.changed.wait()
        group.cancel_scope.cancel()
    assert [b"second" in body for body in engine.sent] == [False, False, True, True]


async def test_a_request_whose_picture_is_missing_goes_when_nobody_needs_it_any_more(tmp_path: Path) -> None:
    """It must not wait for a collection of cycles, which are rare in a worker."""
    runner = Runner(SilentEngine(), FakeMedia(), RetryPolicy(), chance=lambda: 0.5, sleep=anyio.sleep)
    shard = open_shard(tmp_path, 1)
    (request,) = shard.requests(request_file(1, text="s3://bad/x.png"), set())
    await runner.prepare(request)
    assert request.error is not None
    assert request.error.code == "image_not_found"
    gone = weakref.ref(shard)
    gc.disable()
    try:
        del request, shard
        assert gone() is None
    finally:
        gc.enable()
