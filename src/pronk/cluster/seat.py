"""One ``pronk worker`` process, kept on the settings that were given last. For an actor, which lives in threads."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import structlog

from pronk.settings import Settings, child_environment

log = structlog.get_logger()

LOOK_SECONDS = 0.2
FIRST_DELAY = 0.5
MAX_DELAY = 30.0
STEADY_SECONDS = 60.0

Start = Callable[[Settings], "subprocess.Popen[bytes]"]


def start_worker(settings: Settings) -> subprocess.Popen[bytes]:
    """Start a worker; its standard input stays open, and the end of that drains it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pronk", "worker", "--settings=-"],
        stdin=subprocess.PIPE,
        env=child_environment(is_own=True),
        start_new_session=True,
    )
    assert process.stdin is not None  # noqa: S101  # it was opened with a pipe
    process.stdin.write(settings.to_json() + b"\n")
    process.stdin.flush()
    return process


class Seat:
    """Keeps one worker running. On new settings the next one starts before the last one drains."""

    def __init__(self, settings: Settings, start: Start = start_worker) -> None:
        self._settings = settings
        self._start = start
        self._draining: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._delay = FIRST_DELAY
        self._not_before = 0.0
        self._began = 0.0
        self._current: subprocess.Popen[bytes] | None = None
        self._run_current()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the worker of the newest settings runs."""
        with self._lock:
            return self._current is not None and self._current.poll() is None

    @property
    def is_over(self) -> bool:
        """Whether it was stopped and every process has ended."""
        with self._lock:
            return self._stopping.is_set() and self._current is None and not self._draining

    def configure(self, settings: Settings) -> None:
        """Start a worker with other settings, then let the one before finish what it does."""
        with self._lock:
            if self._stopping.is_set():
                return
            self._settings = settings
            self._retire()
            self._delay = FIRST_DELAY
            self._run_current()

    def stop(self) -> None:
        """Let the worker finish what it does, and start no other."""
        with self._lock:
            self._stopping.set()
            self._retire()

    def _watch(self) -> None:
        while not self.is_over:
            time.sleep(LOOK_SECONDS)
            with self._lock:
                self._draining = [process for process in self._draining if process.poll() is None]
                if not self._stopping.is_set():
                    self._look_after_current()

    def _look_after_current(self) -> None:
        now = time.monotonic()
        if self._current is not None and self._current.poll() is not None:
            self._delay = (
                FIRST_DELAY if now - self._began > STEADY_SECONDS else min(2 * self._delay, MAX_DELAY)
            )
            self._not_before = now + self._delay
            log.warning("worker_ended", status=self._current.returncode, next_start_seconds=self._delay)
            _let_go(self._current)
            self._current = None
        if self._current is None and now >= self._not_before:
            self._run_current()

    def _run_current(self) -> None:
        self._began = time.monotonic()
        self._current = self._start(self._settings)

    def _retire(self) -> None:
        process, self._current = self._current, None
        if process is not None:
            _let_go(process)
            self._draining.append(process)


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """End its input, which drains it."""
    assert process.stdin is not None  # noqa: S101  # it was opened with a pipe
    process.stdin.close()
