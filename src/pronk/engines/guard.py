"""Runs one engine and ends it, with all that it started, as soon as whoever started this goes away.

``python guard.py SECONDS COMMAND…``: its standard input is the life line; when that ends, however it ends, the engine's
process group gets SIGTERM, and SIGKILL after that many seconds. Nothing of pronk is imported, so this takes little memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Return the engine's exit status."""
    seconds, command = float(sys.argv[1]), sys.argv[2:]
    wakened, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    try:
        engine = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  # no threads here
        )
    except OSError as error:
        print(f"cannot start {command[0]}: {error}", file=sys.stderr)  # noqa: T201
        return 127
    while engine.poll() is None:
        readable, _, _ = select.select([0, wakened], [], [])
        told_to_stop = wakened in readable and signal.SIGTERM in os.read(wakened, 64)
        if told_to_stop or (0 in readable and not os.read(0, 64)):
            _end(engine, seconds)
    _signal(engine, signal.SIGKILL)
    return engine.returncode


def _die_with_parent() -> None:
    """Ask Linux for SIGKILL should the guard itself be killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(engine: subprocess.Popen[bytes], seconds: float) -> None:
    _signal(engine, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    with contextlib.suppress(subprocess.TimeoutExpired):
        engine.wait(max(0.0, deadline - time.monotonic()))
    _signal(engine, signal.SIGKILL)
    engine.wait()


def _signal(engine: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(engine.pid, number)


if __name__ == "__main__":
    sys.exit(main() & 0xFF)
