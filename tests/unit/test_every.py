"""The periodic loop."""

from __future__ import annotations

import pytest
import structlog
from structlog.testing import capture_logs

from pronk.domain.errors import StoreOutageError
from pronk.every import every

pytestmark = pytest.mark.anyio


class EnoughError(BaseException):
    """Ends the loop from within its rest, as a cancellation would."""


class Rests:
    """Counts rests and ends the loop after some."""

    def __init__(self, most: int) -> None:
        self.seen: list[float] = []
        self._most = most

    async def __call__(self, seconds: float) -> None:
        self.seen.append(seconds)
        if len(self.seen) == self._most:
            raise EnoughError


async def test_rounds_follow_each_other_with_a_rest_between() -> None:
    rounds, rests = [], Rests(3)

    async def run_once() -> None:
        rounds.append(len(rests.seen))

    with pytest.raises(EnoughError):
        await every(7.0, run_once, name="test", sleep=rests)
    assert rounds == [0, 1, 2]
    assert rests.seen == [7.0, 7.0, 7.0]


async def test_a_failed_round_is_logged_and_the_next_one_comes() -> None:
    structlog.reset_defaults()
    failures = iter([StoreOutageError("no database"), ValueError("a bug")])

    async def run_once() -> None:
        raise next(failures)

    with capture_logs() as logs, pytest.raises(EnoughError):
        await every(1.0, run_once, name="reap", sleep=Rests(2))
    outage, bug = logs
    assert (outage["log_level"], outage["loop"], outage["reason"]) == ("warning", "reap", "no database")
    assert "exc_info" not in outage
    assert (bug["log_level"], bug["loop"]) == ("error", "reap")
    assert bug["exc_info"]
