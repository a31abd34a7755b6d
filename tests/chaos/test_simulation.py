"""Interleavings of claims, renewals, ends, reaping and finalizing: real workers on virtual time, a seed for each run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.chaos.simulation import parts
from tests.chaos.simulation.probes import WANTED, Probes
from tests.chaos.simulation.run import BrokenError, simulate

from pronk.domain.shard import Progress
from pronk.journal import Journal

log = structlog.get_logger()

SEEDS = 1_000
ENOUGH = 200
"""Seeds within which a planted fault is found."""


@pytest.mark.timeout(600)
def test_a_thousand_seeds_hold_and_have_been_everywhere() -> None:
    """In a process of its own, where no other test has said which lines of the log are written."""
    ran = _in_a_process("0", str(SEEDS))
    assert ran.returncode == 0, ran.stderr[-8000:]
    probes = Probes()
    probes.hits.update(json.loads(ran.stdout))
    assert len(WANTED) >= 30
    assert probes.never() == []


@pytest.mark.chaos
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("part", range(10))
def test_a_hundred_thousand_seeds_hold(part: int) -> None:
    probes = Probes()
    for seed in range(SEEDS + part * 10_000, SEEDS + (part + 1) * 10_000):
        simulate(seed, probes)
    log.info(
        "survived",
        seeds=10_000,
        rarest={name: probes.hits[name] for name in sorted(WANTED, key=lambda name: probes.hits[name])[:5]},
    )
    assert probes.never() == []


def test_a_seed_is_the_same_run_in_another_process() -> None:
    """Also with another order of sets."""
    one, other = (_in_a_process("14", hash_seed=seed).stdout for seed in ("1", "2"))
    assert one.count("\n") > 20
    assert one.splitlines() == other.splitlines()


def _in_a_process(*arguments: str, hash_seed: str = "2") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.chaos.simulation", *arguments]
    root, environment = Path(__file__).parents[2], {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


Plant = Callable[[pytest.MonkeyPatch], None]


def _query(name: str, old: str, new: str) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        assert old in parts._QUERIES[name], f"{name} has changed: {parts._QUERIES[name]}"
        patch.setitem(parts._QUERIES, name, parts._QUERIES[name].replace(old, new))

    return plant


def _forget_the_journal(patch: pytest.MonkeyPatch) -> None:
    async def progress(self: Journal, batch_id: Any, number: int) -> Any:
        return set(), Progress()

    patch.setattr(Journal, "progress", progress)


FAULTS: dict[str, Plant] = {
    "live leases are taken": _query("find_late_shards", "AND lease_expires_at <= :now", "AND :now > 0"),
    "renewals take old attempts": _query(
        "renew_shards", "AND worker_id = :worker_id", "AND :worker_id <> ''"
    ),
    "journal not read": _forget_the_journal,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS[fault](monkeypatch)
    with pytest.raises(BrokenError):
        _simulate_all(range(ENOUGH))


def _simulate_all(seeds: range) -> None:
    for seed in seeds:
        simulate(seed, Probes())
