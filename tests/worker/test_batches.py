"""Whole batches through a real worker: every line has exactly one result line, in input order, whatever happens."""

from __future__ import annotations

from pathlib import Path

import anyio
import msgspec
import pytest
from tests.fakes.engine import Behaviour
from tests.worker.world import CHAT, World, open_world, request_file, request_line

from pronk.domain.batch import BatchStatus, Counts
from pronk.domain.errors import ClaimLostError, ConflictError
from pronk.domain.ids import DEFAULT_PROJECT, new_worker_id
from pronk.domain.job import DEFAULT_JOB, Job
from pronk.domain.shard import Claim, Progress
from pronk.domain.usage import Usage
from pronk.journal import Journal, Mark, Part

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("both_databases")]


async def test_answers_come_in_input_order_each_once(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.working():
        batch = await world.until_ended(await world.add_batch(request_file(1200)))
        lines = await world.lines(batch.output_file_id)
    assert [line["custom_id"] for line in lines] == [f"r-{number}" for number in range(1, 1201)]
    assert batch.status is BatchStatus.COMPLETED
    assert batch.counts == Counts(1200, 1200, 0)
    assert batch.error_file_id is None
    assert sorted(world.sent(), key=int) == [str(number) for number in range(1, 1201)]
    first = lines[0]
    assert first["id"].startswith("batch_req_")
    assert first["error"] is None
    assert first["response"]["status_code"] == 200
    assert first["response"]["body"]["choices"][0]["message"]["role"] == "assistant"


async def test_usage_and_model_are_those_of_the_answers(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.working():
        batch = await world.until_ended(await world.add_batch(request_file(40)))
        lines = await world.lines(batch.output_file_id)
    used = [line["response"]["body"]["usage"] for line in lines]
    assert batch.model == "m"
    assert batch.usage.input_tokens == sum(usage["prompt_tokens"] for usage in used) > 0
    assert batch.usage.output_tokens == sum(usage["completion_tokens"] for usage in used) > 0


async def test_a_body_reaches_the_engine_byte_for_byte(tmp_path: Path) -> None:
    body = (
        b'{"model": "m","x":1e400,"y":0.1000,"messages":[ {"role":"user","content":"\\u00e9\\/"} ],'
        b'"model_":null,"big":123456789012345678901234567890}'
    )
    line = b'{"url":"%b","body": %b ,"method":"POST","custom_id":"a","more":[1]}' % (CHAT.encode(), body)
    async with open_world(tmp_path) as world, world.working():
        batch = await world.until_ended(await world.add_batch(line))
    assert batch.counts == Counts(1, 1, 0)
    assert world.engine.requests[0].body == body


async def test_a_byte_order_mark_belongs_to_no_line(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.working():
        batch = await world.until_ended(await world.add_batch(b"\xef\xbb\xbf" + request_file(2)))
    assert batch.counts == Counts(2, 2, 0)


async def test_a_job_fills_in_what_a_body_does_not_say(tmp_path: Path) -> None:
    job = Job(id=DEFAULT_JOB, model="m", defaults={"temperature": msgspec.Raw(b"0.50")})
    line = b'{"custom_id":"a","method":"POST","url":"%b","body":{"messages":[]}}' % CHAT.encode()
    async with open_world(tmp_path) as world, world.working():
        await world.until_ended(await world.add_batch(line, job=job))
    assert world.engine.requests[0].body == b'{"messages":[],"model":"m","temperature":0.50}'


async def test_failures_go_to_the_error_file_in_both_shapes(tmp_path: Path) -> None:
    text = b'[{"type":"image_url","image_url":{"url":"s3://%b/1.png"}}]'
    data = (
        request_line(1)
        + request_line(2, model="status-400")
        + request_line(3).replace(b'"3"', text % b"gone")
        + request_line(4).replace(b'"4"', text % b"good")
        + request_line(5, model="garbage")
    )
    async with open_world(tmp_path) as world, world.working():
        batch = await world.until_ended(await world.add_batch(data))
        good, bad = await world.lines(batch.output_file_id), await world.lines(batch.error_file_id)
    assert batch.status is BatchStatus.COMPLETED
    assert batch.counts == Counts(5, 2, 3)
    assert [line["custom_id"] for line in good] == ["r-1", "r-4"]
    assert [line["custom_id"] for line in bad] == ["r-2", "r-3", "r-5"]
    assert bad[0]["response"]["status_code"] == 400
    assert bad[0]["response"]["body"]["error"]["message"]
    assert bad[0]["error"] is None
    assert bad[1]["response"] is None
    assert bad[1]["error"] == {
        "code": "image_not_found",
        "message": "No such object.",
        "param": "messages[0].content[0].image_url.url",
    }
    assert bad[2]["error"]["code"] == "engine_unavailable"
    assert b"data:image/png;base64,1.png" in b"".join(seen.body for seen in world.engine.requests)
    assert [resolved.closed for resolved in world.media.resolved] == [1]


async def test_when_every_line_fails_there_is_no_output_file(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.working():
        batch = await world.until_ended(await world.add_batch(request_file(3, model="status-422")))
    assert (batch.status, batch.output_file_id) == (BatchStatus.COMPLETED, None)
    assert batch.counts == Counts(3, 0, 3)


async def test_a_retriable_answer_is_tried_again_and_the_last_one_stands(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.working():
        world.engine.script.extend([Behaviour(status=503), Behaviour(status=429, retry_after=7.0)])
        batch = await world.until_ended(await world.add_batch(request_file(1)))
        assert batch.counts == Counts(1, 1, 0)
        assert world.engine.request_count == 3
        assert world.waits == [pytest.approx(0.1875), 7.0]
        world.engine.models["busy"] = Behaviour(status=503)
        batch = await world.until_ended(await world.add_batch(request_file(1, model="busy")))
        bad = await world.lines(batch.error_file_id)
    assert world.engine.request_count == 6
    assert bad[0]["response"]["status_code"] == 503


@pytest.mark.parametrize("at", ["validating", "in_progress"])
async def test_cancelling_keeps_what_was_done_and_tells_of_the_rest(tmp_path: Path, at: str) -> None:
    async with open_world(tmp_path, in_flight=2) as world:
        world.engine.models["slow"] = Behaviour(hold=True)
        data = request_file(30) + request_file(50, model="slow").replace(b'"r-', b'"s-')
        batch_id = await world.add_batch(data)
        if at == "validating":
            await world.store.batches.cancel(DEFAULT_PROJECT, batch_id, now=5)
        async with world.working():
            if at == "in_progress":
                await world.engine.until(lambda engine: len(engine.held) == 2)
                await world.until(batch_id, lambda batch: batch.counts.completed == 30)
                await world.store.batches.cancel(DEFAULT_PROJECT, batch_id, now=5)
                await world.store.batches.cancel(DEFAULT_PROJECT, batch_id, now=6)
            batch = await world.until_ended(batch_id)
        good, bad = await world.lines(batch.output_file_id), await world.lines(batch.error_file_id)
        if at == "in_progress":
            await world.engine.until(lambda engine: engine.aborted == 2 and engine.in_flight == 0)
    assert (batch.status, batch.cancelling_at) == (BatchStatus.CANCELLED, 5)
    if at == "in_progress":
        assert batch.counts == Counts(80, 30, 50)
        assert [line["custom_id"] for line in good] == [f"r-{number}" for number in range(1, 31)]
        assert {line["error"]["code"] for line in bad} == {"batch_cancelled"}
        assert [line["custom_id"] for line in bad] == [f"s-{number}" for number in range(1, 51)]
    else:
        assert (good, bad, world.engine.request_count) == ([], [], 0)


async def test_a_batch_that_has_ended_cannot_be_cancelled(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.working():
        batch = await world.until_ended(await world.add_batch(request_file(1)))
        with pytest.raises(ConflictError, match="completed"):
            await world.store.batches.cancel(DEFAULT_PROJECT, batch.id, now=5)


async def test_a_window_that_ends_leaves_a_line_for_what_never_ran(tmp_path: Path) -> None:
    async with open_world(tmp_path, in_flight=2) as world:
        world.engine.models["slow"] = Behaviour(hold=True)
        now = world.now()
        world.now = lambda: now
        data = request_file(20) + request_line(21, model="slow")
        batch_id = await world.add_batch(data, completion_window="10m", expires_at=int(now) + 600)
        async with world.working():
            await world.until(batch_id, lambda batch: batch.counts.completed == 20)
            await world.store.batches.expire(now=int(now) + 600)
            batch = await world.until_ended(batch_id)
        bad = await world.lines(batch.error_file_id)
    assert batch.status is BatchStatus.EXPIRED
    assert batch.counts == Counts(21, 20, 1)
    assert bad[0]["error"]["code"] == "batch_expired"


async def test_journalled_lines_of_a_dead_worker_are_not_sent_again(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        batch_id = await world.add_batch(request_file(10))
        await _die_after(world, journalled=[2, 5, 9])
        async with world.working():
            batch = await world.until_ended(batch_id)
        lines = await world.lines(batch.output_file_id)
    assert sorted(map(int, world.sent())) == [1, 3, 4, 6, 7, 8, 10]
    assert [line["custom_id"] for line in lines] == [f"r-{number}" for number in range(1, 11)]
    assert [line["response"]["body"] for line in lines if line["custom_id"] == "r-5"] == [{"dead": 5}]
    assert batch.counts == Counts(10, 10, 0)


async def test_a_late_worker_changes_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        batch_id = await world.add_batch(request_file(10))
        claim = await _die_after(world, journalled=[1])
        async with world.working():
            await world.until_ended(batch_id)
        with pytest.raises(ClaimLostError):
            await world.store.shards.finish(claim, Progress(completed=10), now=9)
        assert await world.store.shards.report([(claim, Progress(completed=99))]) == [claim]
        await world.store.shards.release(claim, Progress(completed=99))
        batch = await world.store.batches.get(None, batch_id)
    assert (batch.status, batch.counts) == (BatchStatus.COMPLETED, Counts(10, 10, 0))


async def test_a_damaged_part_counts_as_not_there(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        batch_id = await world.add_batch(request_file(4))
        await _die_after(world, journalled=[1, 2, 3])
        (part,) = (tmp_path / "blobs/journals").rglob("*.jsonl")
        data = bytearray(part.read_bytes())
        data[-9] ^= 1
        part.write_bytes(data)
        async with world.working():
            batch = await world.until_ended(batch_id)
    assert sorted(map(int, world.sent())) == [1, 2, 3, 4]
    assert batch.counts == Counts(4, 4, 0)


async def test_draining_gives_the_rest_back_and_another_worker_goes_on(tmp_path: Path) -> None:
    async with open_world(tmp_path, in_flight=2) as world:
        world.engine.models["slow"] = Behaviour(hold=True)
        batch_id = await world.add_batch(
            request_file(5) + request_file(20, model="slow").replace(b'"r-', b'"s-')
        )
        async with world.working() as draining:
            await world.engine.until(lambda engine: len(engine.held) == 2)
            draining.set()
            await anyio.lowlevel.checkpoint()
            world.engine.models["slow"] = Behaviour()
            world.engine.release()
        asked_before = world.engine.request_count
        batch = await world.store.batches.get(None, batch_id)
        assert batch.counts == Counts(25, asked_before, 0)
        async with world.working():
            batch = await world.until_ended(batch_id)
    assert batch.counts == Counts(25, 25, 0)
    assert world.engine.request_count == 25


async def test_journal_and_shards_are_gone_once_the_files_are_written(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.working():
        batch = await world.until_ended(await world.add_batch(request_file(3)))
        await world.until(batch.id, lambda _: not (tmp_path / "blobs/journals" / batch.id).exists())
        assert await world.store.shards.of_batch(batch.id) == []


async def _die_after(world: World, *, journalled: list[int]) -> Claim:
    """Play a worker that takes the first shard, journals some lines and is never heard of again."""
    dead = new_worker_id()
    await world.take_in(dead)
    found = await world.store.shards.claim("default", dead, until=world.now() - 1)
    assert found is not None
    part = Part()
    for line in journalled:
        body = b'{"dead":%d}' % line
        text = b'{"id":"x","custom_id":"r-%d","response":{"status_code":200,"request_id":"x","body":%b},"error":null}\n'
        text %= (line, body)
        part.add(Mark(line, len(text), None, Usage(1, 0, 1, 0)), text)
    await Journal(world.blobs).append(found[1].claim, 1, part)
    return found[1].claim
