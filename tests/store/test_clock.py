"""Leases go by one clock that no step of a wall clock moves."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.databases import Opener
from tests.store.scenes import opened

from pronk.store import clock
from pronk.store.clock import DAY, MAX_PACE, Setting, steer

UNIX = 1_700_000_000.0


def test_the_first_after_a_boot_takes_the_wall_clocks_word() -> None:
    assert steer(None, boot="b", wall=UNIX, at=100.0) == Setting("b", UNIX - 100, 100.0)
    old = Setting("a", 5.0, 90.0)
    assert steer(old, boot="b", wall=UNIX, at=100.0) == Setting("b", UNIX - 100, 100.0)


def test_a_wrong_date_is_put_right_at_once() -> None:
    assert steer(Setting("b", 0.0, 90.0), boot="b", wall=UNIX, at=100.0).difference == UNIX - 100


@given(
    steps=st.lists(
        st.tuples(st.floats(0.1, 100), st.floats(-3600, 3600, allow_nan=False)), min_size=1, max_size=20
    )
)
def test_time_neither_jumps_nor_stands_still_when_the_wall_clock_steps(
    steps: list[tuple[float, float]],
) -> None:
    setting, at, wall = steer(None, boot="b", wall=UNIX, at=0.0), 0.0, UNIX
    for passed, step in steps:
        before = at + setting.difference
        at, wall = at + passed, wall + passed + step
        if abs(wall - at - setting.difference) > DAY:
            return
        setting = steer(setting, boot="b", wall=wall, at=at)
        gone = at + setting.difference - before
        assert (1 - MAX_PACE) * passed - 1e-3 <= gone <= (1 + MAX_PACE) * passed + 1e-3


def test_time_comes_up_with_the_wall_clock_in_the_end() -> None:
    setting = steer(None, boot="b", wall=UNIX, at=0.0)
    for at in range(30, 4 * 3600 + 60, 30):
        setting = steer(setting, boot="b", wall=UNIX + 3600 + at, at=float(at))
    assert setting.difference == UNIX + 3600


@pytest.mark.anyio
async def test_processes_agree_though_the_wall_clock_steps_between_them(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(opener()) as first:
        assert abs(first.now() - time.time()) < 5
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 3600)
        async with opened(opener()) as second:
            await first.set_clock()
            assert abs(first.now() - second.now()) < 1
            assert abs(first.now() - real()) < 10
    assert clock.steady() > 0
