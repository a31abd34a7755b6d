"""S3 that refuses, stalls, resets, cuts, lies about lengths or crawls while a batch runs: work pauses, then the files are equal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import msgspec
import pytest
import structlog
from tests.chaos.field import mother, open_field
from tests.chaos.looks import Look, look
from tests.chaos.storage import s3_storage
from tests.fakes.aws.faults import GARBAGE, HANG_UP, RESET, SILENT, Fault, Latency
from tests.fakes.aws.server import Aws
from tests.fakes.engine import Behaviour
from tests.fakes.http1 import Manners
from tests.worker.world import World, open_world, request_file

from pronk import blobs
from pronk.blobs import open_blobs
from pronk.domain.batch import BatchStatus, Counts

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("impatient"), pytest.mark.timeout(120)]

log = structlog.get_logger()

LINES = 60
MET = 12
"""Requests that meet a fault before it is over."""

FAULTS: dict[str, Fault] = {
    "busy": Fault(code="SlowDown"),
    "broken": Fault(code="InternalError"),
    "silent": Fault(manners=SILENT),
    "reset": Fault(manners=RESET),
    "hangs up": Fault(manners=HANG_UP),
    "cut": Fault(manners=Manners(cut_after=10)),
    "stalls": Fault(manners=Manners(cut_after=10, ending="stall")),
    "too short": Fault(manners=Manners(claimed_length=9_000_000)),
    "no HTTP": Fault(manners=GARBAGE),
}
SHORT = ("busy",)
OUTAGE = 300.0
"""Seconds of the long outage."""

FLAT = 8.0
"""Megabytes that a worker may grow meanwhile, from its first tenth on."""

READ_ONLY = {"cut", "stalls", "too short"}
"""Those that are about bodies of objects."""


@asynccontextmanager
async def _on_s3(
    folder: Path, patch: pytest.MonkeyPatch, aws: Aws, *, patience: float = 20.0
) -> AsyncIterator[World]:
    """Give a world whose storage is in S3; what never answers is given up after seconds of `patience`."""
    patch.setattr(blobs, "_CLIENT", {**blobs._CLIENT, "timeout": timedelta(seconds=patience)})
    patch.setattr(blobs, "_RETRY", {**blobs._RETRY, "max_retries": 1})
    async with s3_storage(patch, aws) as url, open_world(folder) as world:
        world.blobs = open_blobs(url)
        world.engine.models["m"] = Behaviour(delay=0.01)
        yield world


async def _comes_out_right(world: World, batch_id: str) -> None:
    batch = await world.until_ended(batch_id)  # type: ignore[arg-type]
    found = [line["custom_id"] for line in await world.lines(batch.output_file_id)]
    assert (batch.status, batch.counts) == (BatchStatus.COMPLETED, Counts(LINES, LINES, 0))
    assert found == [f"r-{number}" for number in range(1, LINES + 1)]
    assert world.engine.request_count == LINES


@pytest.mark.parametrize("name", SHORT)
async def test_an_outage_of_s3_is_waited_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _outage(name, LINES // 3, tmp_path, monkeypatch)


@pytest.mark.chaos
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("after", [0, LINES // 3])
async def test_every_outage_of_s3_is_waited_out(
    name: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _outage(name, after, tmp_path, monkeypatch)


async def _outage(name: str, after: int, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Before anything is read of the input, or while answers are being journalled and read again."""
    fault = FAULTS[name]
    fault = Fault(code=fault.code, manners=fault.manners, operation=None, times=MET)
    if name in READ_ONLY:
        fault.operation = "GetObject"
        fault.times = 3
    aws = Aws()
    patience = 0.5 if name in {"silent", "stalls"} else 20.0
    async with _on_s3(folder, patch, aws, patience=patience) as world:
        batch_id = await world.add_batch(request_file(LINES))
        if not after:
            aws.fail(fault)
        async with world.working():
            await world.engine.until(lambda engine: engine.request_count >= after)
            if after:
                aws.fail(fault)
            await _comes_out_right(world, batch_id)
    assert fault.met == fault.times


@pytest.mark.chaos
async def test_an_s3_that_crawls_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws(latency=Latency(seconds=0.02, straggler_share=0.1, straggler_seconds=0.2))
    async with _on_s3(tmp_path, monkeypatch, aws) as world:
        batch_id = await world.add_batch(request_file(LINES))
        async with world.working():
            await _comes_out_right(world, batch_id)


@pytest.mark.chaos
@pytest.mark.timeout(900)
async def test_minutes_of_503_cost_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aws, url, lines = Aws(), f"sqlite://{tmp_path}/pronk.db", 6000
    async with s3_storage(monkeypatch, aws) as storage:
        with mother() as bearer:
            async with open_field(tmp_path, url, bearer, storage=storage) as field:
                batch_id = await field.add(lines, model="delay-0.01")
                pid = field.mother.bear(field.life())
                await field.engine.until(lambda engine: engine.request_count >= lines // 10)
                looks = await _away(aws, pid)
                asked = field.engine.request_count
                batch = await field.until(batch_id, lambda batch: batch.is_terminal)
                found = [line["custom_id"] for line in await field.lines(batch.output_file_id)]
                await field.stop(pid)
                sent = field.asked()
    log.info("waited out", seconds=OUTAGE, asked=asked, first=looks[0], last=looks[-1])
    assert (batch.status, batch.counts) == (BatchStatus.COMPLETED, Counts(lines, lines, 0))
    assert found == [f"r-{number}" for number in range(1, lines + 1)]
    assert sent.total() == lines
    assert asked < lines
    assert looks[-1].megabytes - looks[0].megabytes <= FLAT
    assert looks[-1].descriptors <= looks[0].descriptors


async def _away(aws: Aws, pid: int) -> list[Look]:
    """Refuse everything for the time of an outage; return looks at the worker after its first tenth and from then on."""
    fault, began_at = aws.fail(Fault(code="SlowDown", times=None)), anyio.current_time()
    looks = []
    for tenth in range(1, 11):
        await anyio.sleep_until(began_at + OUTAGE * tenth / 10)
        looks.append(look(pid, began_at))
    assert fault.met > OUTAGE / 10
    aws.faults.clear()
    return looks


async def test_while_s3_is_away_little_is_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers wait in memory up to a limit; then nothing more is opened, so nothing more is asked."""
    aws = Aws()
    async with _on_s3(tmp_path, monkeypatch, aws) as world:
        world.tuning = msgspec.structs.replace(world.tuning, max_unflushed_bytes=2_000)
        batch_id = await world.add_batch(request_file(400))
        async with world.working():
            await world.engine.until(lambda engine: engine.request_count >= 50)
            fault = aws.fail(Fault(code="SlowDown", operation="PutObject", times=None))
            await _until_met(fault, 30)
            asked = world.engine.request_count
            await _until_met(fault, fault.met + 30)
            assert world.engine.request_count <= asked + 64
            assert asked < 400
            aws.faults.clear()
            batch = await world.until_ended(batch_id)
    assert batch.counts == Counts(400, 400, 0)
    assert world.engine.request_count == 400


async def _until_met(fault: Fault, times: int) -> None:
    while fault.met < times:  # noqa: ASYNC110
        await anyio.sleep(0.01)
