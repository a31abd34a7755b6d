"""The API against its own description: thousands of made-up requests, right and wrong ones."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import httpx2
import pytest
from tests.conformance.server import running_server

TOOL = Path(__file__).resolve().parents[2] / ".venv-clients" / "bin" / "schemathesis"
CASES = 5_000

pytestmark = [pytest.mark.clients, pytest.mark.timeout(1200)]


def test_every_answer_is_described(tmp_path: Path) -> None:
    config = Path(__file__).with_name("schemathesis.toml")
    with running_server(tmp_path, has_worker=True) as server:
        scopes = {"name": "all", "scopes": ["read", "write", "admin"]}
        secret = httpx2.post(f"{server.url}/v1/keys", json=scopes).json()["value"]
        done = subprocess.run(
            [str(TOOL), "--config-file", str(config), "run", f"{server.url}/openapi.json",
             "--header", f"Authorization: Bearer {secret}",
             "--workers", "1", "--max-examples", "150", "--seed", "1", "--no-color"],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]
    made = re.search(r"([\d,]+) generated", done.stdout)
    assert made is not None
    assert int(made[1].replace(",", "")) >= CASES
