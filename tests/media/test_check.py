"""Preflight over a store that behaves as Amazon's: findings, every reference once, regions and what they cost."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.media.pictures import png
from tests.media.world import CHAT, World, open_world

from pronk.domain.batch import Batch, BatchStatus
from pronk.domain.ids import DEFAULT_PROJECT, BatchId, FileId, JobId
from pronk.domain.job import Job, MediaPolicy, Price
from pronk.lifecycle.check import PIECE_BYTES, Check, Fees, Looked, Report
from pronk.lifecycle.intake import Limits
from pronk.lifecycle.spool import Spool

pytestmark = pytest.mark.anyio


def line(number: int, *references: str, text: str = "What is this?") -> bytes:
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    parts += [{"type": "image_url", "image_url": {"url": reference}} for reference in references]
    body = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    return (
        json.dumps({"custom_id": f"r{number}", "method": "POST", "url": CHAT, "body": body}).encode() + b"\n"
    )


def a_batch(**job: Any) -> Batch:
    return Batch(
        id=BatchId("batch_1"),
        project_id=DEFAULT_PROJECT,
        status=BatchStatus.VALIDATING,
        endpoint=CHAT,
        input_file_id=FileId("file-1"),
        completion_window="unlimited",
        job=Job(id=JobId("job-default"), **job),
        created_at=1,
    )


async def check(
    world: World, lines: Iterable[bytes], *, keep: bool = True, **job: Any
) -> tuple[Report, list[Looked]]:
    looked: list[Looked] = []

    async def chunks() -> AsyncIterator[bytes]:
        for each in lines:
            yield each

    async def note(one: Looked) -> None:
        if keep:
            looked.append(one)

    fees = Fees(home_region="us-east-1", price_per_gb=0.02)
    return await Check(world.resolver, Limits(), fees)(a_batch(**job), chunks(), note), looked


async def test_a_report_says_what_would_come_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.new_bucket("near", "us-east-1").put("a.png", png(56, 28))
        world.aws.buckets["parts"].put("large.png", png() + b"\0" * 99_000_000)
        lines = [
            line(1, "s3://near/a.png", "s3://parts/good.png"),
            line(2, "s3://near/a.png"),
            line(3, "s3://parts/none.png"),
            b'{"custom_id":"r1"}\n',
            line(5, "s3://parts/large.png", "s3://other/x.png"),
        ]
        policy = MediaPolicy(allow=("s3://near/*", "s3://parts/*"))
        report, looked = await check(world, lines, media=policy, price=Price(input_per_1m=10.0))
    assert not report.ok
    assert (report.requests, report.references, report.uses, report.readable) == (5, 5, 6, 2)
    assert {(error.line, error.code) for error in report.errors} >= {(4, "duplicate_custom_id")}
    assert report.failed == {"image_not_found": 1, "image_too_large": 1, "image_not_allowed": 1}
    assert [problem.line for problem in report.problems] == [3, 5, 5]
    good = len(png())
    assert report.bytes == good + len(png(56, 28))
    assert (report.regions["us-east-1"].crosses, report.regions["eu-west-1"].crosses) == (False, True)
    assert report.regions["eu-west-1"].bytes == report.crossing_bytes == good
    assert report.crossing_cost == pytest.approx(good * 0.02 / 1e9)
    assert (report.types["image/png"].references, report.home_region) == (2, "us-east-1")
    assert report.input_tokens > 2 * 2 + 1
    assert report.input_cost == pytest.approx(report.input_tokens * 10e-6)
    by_name = {one.reference: one for one in looked}
    assert (by_name["s3://near/a.png"].uses, by_name["s3://near/a.png"].width) == (2, 56)
    assert by_name["s3://parts/good.png"].region == "eu-west-1"
    assert len(looked) == 5


async def test_every_distinct_reference_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        for number in range(50):
            world.aws.buckets["parts"].put(f"{number}.png", png())
        report, looked = await check(
            world, (line(number, f"s3://parts/{number % 50}.png") for number in range(1000))
        )
        assert report.ok
        assert (world.aws.count("GetObject"), len(looked)) == (50, 50)
        assert {one.uses for one in looked} == {20}


async def test_references_come_out_of_the_spool_once_and_as_they_were(tmp_path: Path) -> None:
    texts = [f"s3://b/{number} é\ud800\n.png" for number in range(300)]
    with Spool(tmp_path) as spool:
        for number, text in enumerate([*texts, *texts], 1):
            spool.add(text, "image", number)
        found = {named.text: named for named in spool.distinct()}
    assert set(found) == set(texts)
    assert {(named.line, named.uses) for named in found.values()} == {(n, 2) for n in range(1, 301)}


async def test_memory_does_not_grow_with_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 distinct references, which the list refuses at once, so that only what is remembered counts."""
    async with open_world(monkeypatch) as world:
        lines = (
            line(number, *(f"s3://elsewhere/{'x' * 200}/{number}/{i}.png" for i in range(100)))
            for number in range(100)
        )
        tracemalloc.start()
        report, _ = await check(world, lines, keep=False, media=MediaPolicy(allow=(), max_references=1000))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert report.failed == {"image_not_allowed": 10_000}
    assert len(report.problems) == 100
    assert peak < 8_000_000


@pytest.mark.scale
@pytest.mark.timeout(300)
async def test_fifty_thousand_references_take_under_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.latency.seconds = 0.05
        picture = png()
        for number in range(50_000):
            world.aws.buckets["parts"].put(f"{number:06}.png", picture)
        started = time.monotonic()
        report, _ = await check(
            world, (line(number, f"s3://parts/{number:06}.png") for number in range(50_000))
        )
        seconds = time.monotonic() - started
    assert report.readable == 50_000
    assert seconds < 60


async def test_others_get_their_turn_while_a_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Storage gives pieces of a mebibyte and more; no more than 64 KiB of it is worked on at a time."""
    data = b"".join(line(number) for number in range(20_000))
    turns = 0

    async def neighbour() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with open_world(monkeypatch) as world, anyio.create_task_group() as group:
        group.start_soon(neighbour)
        report, _ = await check(world, [data])
        group.cancel_scope.cancel()
    assert report.requests == 20_000
    assert turns >= len(data) // PIECE_BYTES >= 50
