"""``pronk demo`` as a newcomer runs it: the whole way on real parts, and nothing left behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pronk.engines.bundled import shipped_model
from pronk.settings import child_environment


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(not shipped_model().is_dir(), reason="the model that comes with pronk is not there")
def test_the_demo_answers_scores_and_cleans_up(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pronk", "demo"]
    done = subprocess.run(
        command, cwd=tmp_path, env=child_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    score = re.search(r"all +(\d+) of (\d+)", done.stdout)
    assert score is not None
    assert int(score[1]) >= 0.9 * int(score[2]) >= 0.9 * 200
    codes = [
        json.loads(line)["error"]["code"]
        for line in (tmp_path / "demo-data/errors.jsonl").read_text().splitlines()
    ]
    assert sorted(codes) == ["image_invalid"] * 3 + ["image_not_found"] * 2
    assert _left_in(tmp_path) == []


def _left_in(folder: Path) -> list[str]:
    """Return the processes that still work in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(folder):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found
