"""Real servers as child processes: started, awaited, and ended with everything that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from pronk.domain.errors import UnavailableError

LOOK_SECONDS: Final = 0.1
GRACE_SECONDS: Final = 10.0

Found = TypeVar("Found")


class Child:
    """One server in a process group of its own; what it writes goes to `log`."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self._name = name
        self._log = log
        with log.open("wb") as into:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                command,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=into,
                stderr=into,
                start_new_session=True,
            )

    def wait_for(self, find: Callable[[str], Found | None], seconds: float) -> Found:
        """Return what `find` finds in the log. Raises UnavailableError when the server ends or takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            has_ended = self._process.poll() is not None
            found = find(self._written())
            if found is not None:
                return found
            if has_ended:
                raise self._failure(f"ended with status {self._process.returncode}")
            time.sleep(LOOK_SECONDS)
        raise self._failure(f"was not ready after {seconds:.0f} s")

    def end(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Ask it to stop, wait, then end its whole group; an impatient second Ctrl-C does not leave it behind."""
        with _uninterrupted():
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_seconds)
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _written(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def _failure(self, what: str) -> UnavailableError:
        last = "".join(f": {line}" for line in self._written().splitlines()[-1:])
        return UnavailableError(f"{self._name} {what}{last} ({self._log} says more)")


def interrupt_on_every_end() -> None:
    """Let SIGTERM and a closed terminal end the program as Ctrl-C does, so that it cleans up."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    before = {
        number: signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
