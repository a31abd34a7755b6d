"""How near the limiter comes to the best fixed limit, on modelled engines in virtual time: the machine's load does not matter."""

from __future__ import annotations

from bench.report import Row
from bench.simulator.scenes import CASES, judge
from bench.world import World

_QUICK = (
    "embeddings, 0.1 s",
    "128 seats, 20 s",
    "memory, cliff, metrics",
    "two unlike replicas",
    "slower halfway, metrics",
    "two workers, metrics",
)


def saturate(world: World) -> list[Row]:
    """Six set-ups of engines, or all; a share of 98 % or more, reached within 30 s or a fiftieth of the run, is the goal."""
    wanted = [case for case in CASES if world.is_full or case.scene.name in _QUICK]
    rows = []
    for case in wanted:
        found = judge(case)
        figures = {
            "share of the best fixed limit %": 100 * found.share,
            "warm after s": found.warm_seconds,
            "of s": case.scene.seconds,
            "best fixed limit": float(case.best),
            "longest request s": found.longest,
            "at best limit s": found.longest_at_best,
            "preemptions": float(found.preemptions),
        }
        rows.append(Row("saturate", case.scene.name, figures))
    return rows
