"""Which processes of this machine count as dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from pronk.app.host import _is_alive, this_host


def test_a_running_process_is_alive_and_one_that_was_waited_for_is_not() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert _is_alive(process.pid)
    assert not _is_alive(process.pid)


def test_a_killed_process_that_nobody_waited_for_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not _is_alive(process.pid)
    process.communicate()


def test_a_host_keeps_its_name() -> None:
    assert this_host() == this_host()
    assert os.uname().nodename in this_host()
