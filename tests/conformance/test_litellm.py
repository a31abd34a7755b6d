"""litellm does the whole way of a batch."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.conformance.server import running_server

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-clients" / "bin" / "python"


@pytest.mark.clients
def test_the_whole_way_with_litellm(tmp_path: Path) -> None:
    script = Path(__file__).with_name("litellm_round_trip.py")
    with running_server(tmp_path, has_worker=True) as server:
        done = subprocess.run(
            [PYTHON, script, server.url],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=100,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {"status": "completed", "ids": ["r-1", "r-2", "r-3"], "listed": True, "chat": "now"}
