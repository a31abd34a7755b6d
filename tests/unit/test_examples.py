"""The examples are what the code takes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from pronk.settings import load

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_example_settings_load() -> None:
    settings = load(config=EXAMPLES / "pronk.toml", environ={"ENGINE_KEY": "k"})
    assert settings.jobs["job-xxxxxxxx"].model == "your-model"


def test_the_example_requests_are_the_jobs() -> None:
    lines = [json.loads(line) for line in (EXAMPLES / "input.jsonl").read_text().splitlines()]
    assert [line["custom_id"] for line in lines] == ["req-1", "req-2"]
    assert {line["body"]["model"] for line in lines} == {"your-model"}


def test_the_example_script_is_a_shell_script() -> None:
    subprocess.run(["/bin/sh", "-n", str(EXAMPLES / "batch.sh")], check=True)
