"""What is said of an outage while work waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
import structlog
from structlog.testing import capture_logs

from pronk.domain.errors import BlobOutageError, StoreOutageError
from pronk.telemetry import OUTAGES, Outages
from pronk.telemetry.metrics import OUTAGE
from pronk.telemetry.outages import part_of
from pronk.worker.patience import patiently, postponing


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _nobody_waits() -> None:
    """Other tests of this process may have been cut off while they waited; begin without them."""
    left = {who for waiting in OUTAGES._waiting.values() for who in waiting}
    for who in left:
        OUTAGES.over(who)
    OUTAGES._told_at = dict.fromkeys(OUTAGES._told_at, float("-inf"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outages(clock: Clock) -> Outages:
    return Outages(clock)


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    structlog.reset_defaults()
    with capture_logs() as found:
        yield found


def test_a_line_at_once_then_one_a_minute_then_one_at_the_end(
    outages: Outages, clock: Clock, lines: list[Any]
) -> None:
    for _ in range(1500):
        outages.wait("storage", "writer", doing="writing", error="disk full")
        clock.now += 0.1
    outages.over("writer")
    assert [(line["event"], line["part"], line["seconds"]) for line in lines] == [
        ("outage", "storage", 0.0),
        ("outage", "storage", pytest.approx(60, abs=0.2)),
        ("outage", "storage", pytest.approx(120, abs=0.3)),
        ("outage over", "storage", pytest.approx(150, abs=0.1)),
    ]
    assert (lines[0]["doing"], lines[0]["error"]) == ("writing", "disk full")


def test_it_lasts_until_the_last_one_is_through(outages: Outages, lines: list[Any]) -> None:
    for who in (1, 2, 3):
        outages.wait("database", who)
    outages.over(1)
    outages.over(2)
    assert outages.parts == frozenset({"database"})
    assert OUTAGE.labels("database")._value.get() == 1
    outages.over(3)
    outages.over(3)
    assert outages.parts == frozenset()
    assert OUTAGE.labels("database")._value.get() == 0
    assert [line["event"] for line in lines] == ["outage", "outage over"]


def test_one_that_comes_and_goes_is_not_told_more_often(
    outages: Outages, clock: Clock, lines: list[Any]
) -> None:
    for _ in range(100):
        outages.wait("database", "flush")
        clock.now += 0.5
        outages.over("flush")
        clock.now += 0.5
    assert len(lines) <= 4


def test_parts_do_not_silence_each_other(outages: Outages, lines: list[Any]) -> None:
    outages.wait("database", "flush")
    outages.wait("storage", "flush")
    outages.over("flush")
    assert [line["part"] for line in lines] == ["database", "storage", "database", "storage"]


def test_errors_name_their_part() -> None:
    assert part_of(StoreOutageError("locked")) == "database"
    assert part_of(BlobOutageError("503")) == "storage"


@pytest.mark.anyio
async def test_patience_says_when_it_waits_and_when_it_is_over(lines: list[Any]) -> None:
    tries = iter([BlobOutageError("disk full"), None])

    async def write() -> str:
        await anyio.lowlevel.checkpoint()
        outage = next(tries)
        if outage is not None:
            raise outage
        assert OUTAGES.parts == {"storage"}
        return "written"

    assert await patiently(write, doing="writing") == "written"
    assert OUTAGES.parts == set()
    assert lines[-1]["event"] == "outage over"


@pytest.mark.anyio
async def test_a_round_that_is_postponed_waits_until_one_is_through() -> None:
    rounds = iter([StoreOutageError("locked"), StoreOutageError("locked"), None])
    waits = []

    async def renew() -> None:
        outage = next(rounds)
        if outage is not None:
            raise outage

    run_once = postponing(renew, doing="renewing")
    for _ in range(3):
        await run_once()
        waits.append(bool(OUTAGES.parts))
    assert waits == [True, True, False]


@pytest.mark.anyio
async def test_who_stops_waiting_does_not_keep_the_outage() -> None:
    async def never() -> None:
        raise StoreOutageError("away")

    with anyio.move_on_after(0.01):
        await patiently(never, doing="claiming")
    assert OUTAGES.parts == set()
