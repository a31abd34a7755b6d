"""Every operation of a batch fails once, and everything from it on until it heals: the files are those of a calm run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from tests.chaos.faults import How, from_on, once
from tests.chaos.stage import LINES, Stage, staged
from tests.store.databases import Opener

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("impatient"), pytest.mark.timeout(600)]

log = structlog.get_logger()

MODES = ("once before", "once after", "until healed before", "until healed after")
LEAST, MOST = 90, 10_000
"""Operations that a batch of twenty lines has at least."""

FAILURES = 12
"""Operations that fail until an outage heals."""


async def _survives(stage: Stage, mode: str, number: int, calm: tuple[object, ...]) -> bool:
    """Run a batch whose `number`-th operation fails; return False when it has fewer operations."""
    how: How = "after" if mode.endswith("after") else "before"
    plan = from_on(number, how, for_as_many=FAILURES) if "healed" in mode else once(number, how)
    outcome = await stage.run(plan, await stage.add())
    story = f"{mode}, operation {number}: {stage.faults.struck}"
    assert outcome.files == calm, story
    assert len(outcome.sent) == LINES, story
    lost = sum(fault.endswith("engine.complete after") for fault in stage.faults.struck)
    assert outcome.sent.total() <= LINES + lost, f"{story}: sent {outcome.sent}"
    return bool(stage.faults.struck)


async def _all(stage: Stage, mode: str, numbers: Iterator[int]) -> int:
    """Try one number after the other until none is left to fail; return how many were tried."""
    calm = (await stage.run(lambda _: "", await stage.add())).files
    tried = 0
    for number in numbers:
        if not await _survives(stage, mode, number, calm):
            break
        tried += 1
    return tried


@pytest.mark.parametrize("mode", MODES)
async def test_any_of_some_operations_may_fail(
    mode: str, tmp_path: Path, opener: Opener, database_url: str
) -> None:
    step = 5 if database_url.startswith("sqlite") else 17
    async with staged(tmp_path, opener) as stage:
        tried = await _all(stage, mode, iter(range(1 + MODES.index(mode), MOST, step)))
    assert tried >= LEAST // step


@pytest.mark.chaos
@pytest.mark.parametrize("mode", MODES)
async def test_any_operation_may_fail(mode: str, tmp_path: Path, opener: Opener) -> None:
    async with staged(tmp_path, opener) as stage:
        tried = await _all(stage, mode, iter(range(1, MOST)))
    log.info("survived", mode=mode, operations=tried)
    assert tried >= LEAST
