"""The examples as they stand, against the real server, a real S3 server and a fake engine: curl, the SDK, the command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tests.fakes.engine import engine_process

from pronk.demo.processes import Child
from pronk.demo.stack import s3_server, server_url
from pronk.settings import child_environment

EXAMPLES = Path(__file__).parents[2] / "examples"
INPUT = EXAMPLES / "input.jsonl"
SETTINGS = """
[engines.qwen]
urls = ["{engine}"]
[jobs.xxxxxxxx]
model = "your-model"
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the job and the pictures of the guide."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "buckets/my-bucket/parts").mkdir(parents=True)
    for number in (76121, 76122):
        Image.new("RGB", (8, 8), "red").save(folder / f"buckets/my-bucket/parts/img_{number}.png")
    with engine_process() as engine, s3_server(folder / "buckets", folder / "s3.log") as s3:
        (folder / "pronk.toml").write_text(SETTINGS.format(engine=engine.url))
        command = [sys.executable, "-m", "pronk", "serve", "--config", str(folder / "pronk.toml")]
        command += ["--port", "0", "--workers", "1", "--log-format", "json"]
        server = Child(
            "the server", command, child_environment(s3.variables, without=("AWS_",)), folder / "log"
        )
        try:
            yield server.wait_for(server_url, 30)
        finally:
            server.end()


def test_the_guides_curl_commands(url: str) -> None:
    assert _answered(_run("/bin/sh", str(EXAMPLES / "batch.sh"), str(INPUT), BASE_URL=url)) == [
        "req-1",
        "req-2",
    ]


def test_the_official_sdk(url: str) -> None:
    out = _run(sys.executable, str(EXAMPLES / "batch.py"), f"{url}/v1", str(INPUT))
    assert _answered(out) == ["req-1", "req-2"]


def test_the_command(url: str, tmp_path: Path) -> None:
    pronk = [sys.executable, "-m", "pronk", "batches"]
    options = ["--job-id", "job-xxxxxxxx", "--watch"]
    batch_id = _run(*pronk, "create", str(INPUT), *options, PRONK_URL=url).splitlines()[0]
    output = tmp_path / "answers.jsonl"
    _run(*pronk, "results", batch_id, "-o", str(output), PRONK_URL=url)
    assert _answered(output.read_text()) == ["req-1", "req-2"]


def _run(*command: str, **variables: str) -> str:
    env = child_environment(variables)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _answered(text: str) -> list[str]:
    lines = [json.loads(line) for line in text.splitlines()]
    return [line["custom_id"] for line in lines if line["response"]["status_code"] == 200]
