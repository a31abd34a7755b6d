"""The keeper of one worker process, on small processes that end when their input does."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from pronk.cluster.seat import Seat
from pronk.settings import Settings

SETTINGS = Settings(workers=1)


class Started:
    """What a seat has started: ports of the settings and processes."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    def __call__(self, settings: Settings) -> subprocess.Popen[bytes]:
        self.ports.append(settings.port)
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        )
        self.processes.append(process)
        return process


@contextmanager
def seated() -> Iterator[tuple[Seat, Started]]:
    started = Started()
    seat = Seat(SETTINGS, started)
    try:
        yield seat, started
    finally:
        seat.stop()
        for process in started.processes:
            process.wait(20)


def wait(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.01)


def test_one_that_ended_is_started_again() -> None:
    with seated() as (seat, started):
        assert seat.is_running
        started.processes[0].kill()
        wait(lambda: len(started.processes) == 2)
        wait(lambda: seat.is_running)


def test_the_next_one_starts_before_the_last_one_is_gone() -> None:
    with seated() as (seat, started):
        seat.configure(msgspec.structs.replace(SETTINGS, port=9))
        assert started.ports == [8000, 9]
        assert started.processes[0].wait(20) == 0, "its input ended, which drains a worker"
        assert seat.is_running
        assert started.processes[1].poll() is None


def test_one_that_is_stopped_ends_and_stays_so() -> None:
    with seated() as (seat, started):
        seat.stop()
        wait(lambda: seat.is_over)
        seat.configure(SETTINGS)
        assert len(started.processes) == 1
        assert not seat.is_running
