"""Every command of the guides runs as it stands: a real server, a real S3 server, a fake engine."""

from __future__ import annotations

import re
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

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
MINE = ("retry", "check", "webhooks", "export", "make", "by-reference", "python")
LINE = (
    '{"custom_id":"%s","method":"POST","url":"/v1/chat/completions","body":{"model":"your-model","messages":[{"role":"user",'
    '"content":[{"type":"image_url","image_url":{"url":"s3://parts/%s"}},{"type":"text","text":"What?"}]}]}}\n'
)
INPUT = LINE % ("a", "img_76121.png") + LINE % ("b", "none.png")


class Place:
    """Where guides run: a server with its variables."""

    def __init__(self, variables: dict[str, str], engine: str) -> None:
        self.variables = variables
        self.engine = engine


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("server")
    for bucket in ("parts", "jobs", "out"):
        (folder / "buckets" / bucket).mkdir(parents=True)
    for number in (76121, 76122):
        Image.new("RGB", (8, 8), "red").save(folder / f"buckets/parts/img_{number}.png")
    (folder / "buckets/jobs/in.jsonl").write_text(LINE % ("a", "img_76121.png"))
    with (
        engine_process() as engine,
        s3_server(folder / "buckets", folder / "s3.log", is_read_only=False) as s3,
    ):
        command = [sys.executable, "-m", "pronk", "serve", "--engine", engine.url, "--port", "0"]
        command += ["--data-dir", str(folder / "data"), "--workers", "1", "--log-format", "json"]
        server = Child(
            "the server", command, child_environment(s3.variables, without=("AWS_",)), folder / "log"
        )
        try:
            url = server.wait_for(server_url, 60)
            yield Place({**s3.variables, "PRONK_URL": url, "PRONK_ENGINE": engine.url}, engine.url)
        finally:
            server.end()


def blocks(name: str, language: str) -> list[str]:
    text = (GUIDES / f"{name}.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [name for name in MINE if name != "python"])
def test_the_commands_of_a_guide_run(name: str, place: Place, tmp_path: Path) -> None:
    """One shell runs them all, so that what one sets the next may use; checks and exports may find fault."""
    (tmp_path / "input.jsonl").write_text(INPUT)
    script = "\n".join(blocks(name, "sh"))
    assert "pronk" in script
    script = re.sub(r"^pip install .*$", "", script, flags=re.MULTILINE)
    script = re.sub(
        r"^(pronk (check|batches create|run) .*)$", r"\1 || test $? = 1", script, flags=re.MULTILINE
    )
    functions = f'pronk() {{ "{sys.executable}" -m pronk "$@"; }}\nset -e\n'
    done = _run(["/bin/sh", "-c", functions + script], place, tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.timeout(300)
def test_the_python_of_the_guide_runs(place: Place, tmp_path: Path) -> None:
    code = "\n".join([f"ENGINE = {place.engine!r}", *blocks("python", "python")])
    done = _run([sys.executable, "-c", code], place, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True\n1 200\n")


def _run(command: list[str], place: Place, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**child_environment(without=("AWS_",)), **place.variables}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=280
    )
