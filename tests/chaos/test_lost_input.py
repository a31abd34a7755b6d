"""Input files that are gone or changed: the batch stops with a code, and what it has been answered is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.worker.world import World, open_world, request_file

from pronk.domain.batch import Batch, BatchStatus, Counts
from pronk.domain.ids import DEFAULT_PROJECT, BatchId, new_worker_id
from pronk.store.duties import Duty

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("both_databases")]


async def _blob(world: World, folder: Path, batch_id: BatchId) -> Path:
    batch = await world.store.batches.get(None, batch_id)
    file = await world.store.files.get(DEFAULT_PROJECT, batch.input_file_id, now=0)
    return folder / "blobs" / file.blob


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x04
    path.write_bytes(data)


async def _nothing_runs(world: World) -> None:
    queue = await world.store.figures.queue(seen_since=0)
    assert (sum(queue.batches.values()), sum(queue.shards.values())) == (0, 0)


async def _run(world: World, batch_id: BatchId) -> Batch:
    async with world.working():
        return await world.until_ended(batch_id)


@pytest.mark.parametrize("how", ["gone", "cut", "flipped"])
async def test_a_file_that_is_lost_before_intake_fails_its_batch(tmp_path: Path, how: str) -> None:
    async with open_world(tmp_path) as world:
        batch_id = await world.add_batch(request_file(20))
        path = await _blob(world, tmp_path, batch_id)
        if how == "gone":
            path.unlink()
        else:
            data = path.read_bytes()
            path.write_bytes(data[:-1000] if how == "cut" else data.replace(b'"7"', b'"6"'))
        batch = await _run(world, batch_id)
    assert batch.status is BatchStatus.FAILED
    assert batch.errors[0].code == ("input_missing" if how == "gone" else "input_damaged")
    assert world.engine.request_count == 0


@pytest.mark.parametrize("how", ["gone", "cut", "flipped"])
async def test_a_file_that_is_lost_after_intake_stops_its_batch(tmp_path: Path, how: str) -> None:
    async with open_world(tmp_path) as world:
        batch_id = await world.add_batch(request_file(20))
        await world.take_in(new_worker_id())
        path = await _blob(world, tmp_path, batch_id)
        if how == "gone":
            path.unlink()
        else:
            data = path.read_bytes()
            path.write_bytes(data[:100] if how == "cut" else data.replace(b'"7"', b'"6"'))
        batch = await _run(world, batch_id)
        await _nothing_runs(world)
    assert batch.status is BatchStatus.FAILED
    assert (batch.failed_at, batch.completed_at) != (None, None)
    assert batch.errors[0].code == ("input_missing" if how == "gone" else "input_damaged")
    assert batch.errors[0].line == 1
    assert "6" not in world.sent() or how != "flipped"


async def test_answers_of_a_batch_that_is_stopped_are_kept(tmp_path: Path) -> None:
    async with open_world(tmp_path, in_flight=2) as world:
        batch_id = await world.add_batch(request_file(60))
        await world.take_in(new_worker_id())
        path = await _blob(world, tmp_path, batch_id)
        _flip(path, path.stat().st_size - 20)
        batch = await _run(world, batch_id)
        good, bad = await world.lines(batch.output_file_id), await world.lines(batch.error_file_id)
        await _nothing_runs(world)
    assert (batch.status, batch.errors[0].line) == (BatchStatus.FAILED, 49)
    assert len(good) == world.engine.request_count - world.engine.aborted >= 32
    assert batch.counts == Counts(60, len(good), 60 - len(good))
    assert {line["error"]["code"] for line in bad} <= {"input_damaged"}
    known = [line["custom_id"] for line in [*good, *bad]]
    assert sorted(known, key=lambda name: int(name[2:])) == [f"r-{number}" for number in range(1, 49)]


async def test_a_disk_that_is_not_mounted_is_waited_for(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        batch_id = await world.add_batch(request_file(20))
        await world.take_in(new_worker_id())
        (tmp_path / "blobs").rename(tmp_path / "elsewhere")
        async with world.working():
            await world.until(batch_id, lambda _: world.engine.request_count == 0)
            (tmp_path / "elsewhere").rename(tmp_path / "blobs")
            batch = await world.until_ended(batch_id)
    assert batch.counts == Counts(20, 20, 0)


@pytest.mark.parametrize("how", ["gone", "cut", "flipped"])
async def test_answers_that_are_lost_before_finalizing_are_asked_for_again(tmp_path: Path, how: str) -> None:
    async with open_world(tmp_path) as world:
        batch_id = await world.add_batch(request_file(40))
        duties = world.store.duties.claim
        world.store.duties.claim = _only_intake(world)  # type: ignore[method-assign]
        async with world.working():
            await world.until(batch_id, lambda batch: batch.status is BatchStatus.FINALIZING)
            _harm_a_part(tmp_path, how)
            world.store.duties.claim = duties  # type: ignore[method-assign]
            batch = await world.until_ended(batch_id)
        lines = await world.lines(batch.output_file_id)
    assert batch.counts == Counts(40, 40, 0)
    assert [line["custom_id"] for line in lines] == [f"r-{number}" for number in range(1, 41)]
    assert 40 < world.engine.request_count <= 80


def _only_intake(world: World) -> Any:
    """Let nobody finalize, so that there is time for harm."""
    claim = world.store.duties.claim

    async def claimed(*arguments: Any, **values: Any) -> Duty | None:
        duty = await claim(*arguments, **values)
        if duty is None or duty.kind == "intake":
            return duty
        await world.store.duties.release(duty)
        return None

    return claimed


def _harm_a_part(folder: Path, how: str) -> None:
    part = min((folder / "blobs/journals").rglob("*.jsonl"))
    if how == "gone":
        part.unlink()
    elif how == "cut":
        part.write_bytes(part.read_bytes()[:-3])
    else:
        _flip(part, 40)
