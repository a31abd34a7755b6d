"""Batch after batch with a death a minute: files stay right, memory and descriptors stay flat. ``make soak MINUTES=480``."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from statistics import linear_regression

import pytest
import structlog
from tests.chaos.looks import Look, look
from tests.chaos.test_kill_anything import Estate, _children, _survives, estate

log = structlog.get_logger()

MINUTES = float(os.environ.get("MINUTES", "10"))
LINES = 600
WARM_SHARE = 0.2
"""Share of the time that caches and pools may take to fill."""

MOST_SLOPE = 1.0
"""Megabytes that the API may grow in an hour, told of runs of an hour and longer."""

MOST_GROWTH = 16.0
"""Megabytes that it may grow in a shorter run."""


def _told(looks: list[Look], seconds: float) -> dict[str, float]:
    """Return what the looks after warming up say: slope in megabytes an hour, growth, and descriptors at both ends."""
    warm = [each for each in looks if each.second > WARM_SHARE * seconds]
    slope = linear_regression([each.second for each in warm], [each.megabytes for each in warm]).slope * 3600
    ends = {"first": warm[0].descriptors, "last": warm[-1].descriptors}
    return {
        "slope": slope,
        "growth": warm[-1].megabytes - warm[0].megabytes,
        "megabytes": warm[-1].megabytes,
        **ends,
    }


def _soak(place: Estate, folder: Path, seconds: float) -> tuple[list[Look], int, int]:
    """Run batches for so long; return looks at the API, and how many batches and deaths there were."""
    dice, began_at = random.Random(23), time.monotonic()
    looks: list[Look] = []
    batches = deaths = 0
    while (now := time.monotonic() - began_at) < seconds:
        victims = [dice.choice(("worker", "engine"))] if now > 60 * (deaths + 1) else []
        deaths += len(victims)
        _survives(place, victims, dice, lines=LINES)
        batches += 1
        for record in folder.glob("asked-*.txt"):
            record.write_text("")
        looks.append(look(place.server.pid, began_at))
        log.info(
            "soaked",
            batches=batches,
            deaths=deaths,
            api=looks[-1],
            workers=[look(pid, began_at) for pid in _children(place.server.pid)],
        )
    return looks, batches, deaths


@pytest.mark.soak
@pytest.mark.timeout(60 * 60 * 24)
def test_batch_after_batch_leaves_no_trace(tmp_path: Path) -> None:
    with estate(tmp_path) as place:
        looks, batches, deaths = _soak(place, tmp_path, 60 * MINUTES)
    told = _told(looks, 60 * MINUTES)
    log.info("soaked", minutes=MINUTES, batches=batches, deaths=deaths, **told)
    assert told["last"] <= told["first"] + 8
    assert told["slope"] <= MOST_SLOPE if MINUTES >= 60 else told["growth"] <= MOST_GROWTH
