"""Metrics of several processes as one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pronk.telemetry import Counts, Folder, Tally, render, show, shown
from pronk.telemetry.metrics import ENGINE_SECONDS, ENGINE_UP, FETCHES, OUTAGE, PARTS_WRITTEN, PREFETCHED
from pronk.telemetry.scrape import VARIABLE


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "metrics")
    folder.make()
    return folder


def _process(folder: Folder, script: str) -> int:
    """Run a script in a process that writes into the folder; return its number."""
    text = f"import os; from pronk.telemetry.metrics import *; {script}; print(os.getpid())"
    environment = {VARIABLE: str(folder.path)}
    done = subprocess.run([sys.executable, "-c", text], env=environment, check=True, capture_output=True)
    return int(done.stdout)


def _value(folder: Folder, sample: str) -> float:
    (line,) = (line for line in render(folder).decode().splitlines() if line.startswith(sample + " "))
    return float(line.rpartition(" ")[2])


def test_this_process_and_its_workers_add_up(folder: Folder) -> None:
    PARTS_WRITTEN.inc(5)
    ENGINE_SECONDS.labels("sums").observe(0.02)
    ENGINE_UP.labels("sums", "r").set(1)
    OUTAGE.labels("engine").set(0)
    own = _value(folder, "pronk_parts_written_total")
    for up in (1, 0):
        script = f"PARTS_WRITTEN.inc(2); ENGINE_SECONDS.labels('sums').observe(0.3); ENGINE_UP.labels('sums', 'r').set({up})"
        _process(folder, f"{script}; OUTAGE.labels('engine').set(1 - {up}); PREFETCHED.set(7)")
    assert _value(folder, "pronk_parts_written_total") == own + 4
    assert _value(folder, 'pronk_engine_request_seconds_bucket{engine="sums",le="0.025"}') == 1
    assert _value(folder, 'pronk_engine_request_seconds_bucket{engine="sums",le="+Inf"}') == 3
    assert _value(folder, 'pronk_engine_request_seconds_count{engine="sums"}') == 3
    assert _value(folder, 'pronk_engine_request_seconds_sum{engine="sums"}') == pytest.approx(0.62)
    assert _value(folder, 'pronk_engine_up{engine="sums",replica="r"}') == 0
    assert _value(folder, 'pronk_outage{part="engine"}') == 1
    assert _value(folder, "pronk_prefetched_bytes") == PREFETCHED._value.get() + 14
    assert folder.outages() == {"engine"}


def test_a_dead_process_keeps_what_it_counted_and_nothing_else(folder: Folder) -> None:
    counted = _value(folder, "pronk_parts_written_total")
    held = _value(folder, "pronk_prefetched_bytes")
    pid = _process(folder, "PARTS_WRITTEN.inc(3); PREFETCHED.set(100); OUTAGE.labels('storage').set(1)")
    assert folder.outages() == {"storage"}
    folder.bury(pid)
    assert _value(folder, "pronk_parts_written_total") == counted + 3
    assert _value(folder, "pronk_prefetched_bytes") == held
    assert folder.outages() == set()


def test_a_new_server_begins_with_an_empty_folder(folder: Folder) -> None:
    before = _value(folder, "pronk_parts_written_total")
    _process(folder, "PARTS_WRITTEN.inc(3)")
    folder.make()
    assert _value(folder, "pronk_parts_written_total") == before


def test_a_file_that_is_just_being_made_does_no_harm(folder: Folder) -> None:
    (folder.path / "counter_1.db").touch()
    assert b"pronk_parts_written_total" in render(folder)


def test_room_is_taken_for_the_files_of_a_process(folder: Folder) -> None:
    pid = _process(folder, "PARTS_WRITTEN.inc(3)")
    folder.reserve(pid)
    for file in folder.path.glob(f"*_{pid}.db"):
        assert file.stat().st_blocks * 512 >= file.stat().st_size


def test_plain_numbers_come_to_the_same() -> None:
    counts, tally = Counts(), Tally(ENGINE_SECONDS)
    for seconds in (0.01, 0.011, 3.0, 5000.0):
        tally.add(seconds)
        ENGINE_SECONDS.labels("one by one").observe(seconds)
        counts["plain", "ok"] += 1
    tally.pour(ENGINE_SECONDS.labels("plain"))
    tally.pour(ENGINE_SECONDS.labels("plain"))
    counts.pour(FETCHES)
    counts.pour(FETCHES)
    text = render().decode()
    assert _lines(text, "plain") == _lines(text, "one by one")
    assert len(_lines(text, "plain")) == len(tally._bounds) + 2
    assert 'pronk_fetches_total{outcome="ok",scheme="plain"} 4.0' in text


def _lines(text: str, engine: str) -> list[str]:
    label = f'engine="{engine}"'
    return [
        line.replace(label, "") for line in text.splitlines() if label in line and "request_seconds" in line
    ]


def test_sources_are_asked_while_they_are_open_and_at_their_end() -> None:
    asked = []
    with shown(lambda: asked.append("one"), lambda: asked.append("two")):
        show()
    show()
    assert asked == ["one", "two", "one", "two"]
