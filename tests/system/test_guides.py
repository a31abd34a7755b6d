"""Every command of every page runs as it stands: a real server, a real S3 server, a fake engine. One server for all pages."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tests.fakes.engine import engine_process
from tests.system.guides import PAGES, ROOT, code, script

from pronk.demo.processes import Child
from pronk.demo.stack import S3, s3_server, server_url
from pronk.domain.errand import Webhook
from pronk.domain.ids import DEFAULT_PROJECT, WebhookId
from pronk.lifecycle.errands import signed_headers
from pronk.settings import child_environment

SHELL = [page for page in PAGES if script(page)]
PYTHON = [page for page in PAGES if code(page)]
BUCKETS = ("parts", "jobs", "out", "my-bucket", "pronk")
LINE = (
    '{"custom_id":"%s","method":"POST","url":"/v1/chat/completions","body":{"model":"your-model","messages":[{"role":"user",'
    '"content":[{"type":"image_url","image_url":{"url":"s3://parts/%s"}},{"type":"text","text":"What?"}]}]}}\n'
)
INPUT = LINE % ("a", "img_76121.png") + LINE % ("b", "none.png")
SETTINGS = '[engines.default]\nurls = ["%s/v1"]\n[jobs.default]\n[jobs.sort-parts]\n'
SECRET = "whsec_" + "cHJvbmsg" * 4
FIRST = {
    "docs/guides/from-openai.md": "from openai import OpenAI",
    "docs/guides/webhooks.md": f"secret, body, headers = {SECRET!r}, BODY, HEADERS",
}
"""What a reader has before the Python of a page begins."""

PRINTED = {"docs/guides/python.md": "True\n1 200\n"}


class Place:
    """Where guides run: a server with its variables, and what the names in pages stand for."""

    def __init__(self, url: str, engine: str, s3: S3) -> None:
        self.variables = {**s3.variables, "PRONK_URL": url, "PRONK_ENGINE": engine}
        self.engine = engine
        keys = f"AWS_ACCESS_KEY_ID={s3.key_id} AWS_SECRET_ACCESS_KEY={s3.key}"
        self._names = {
            "http://127.0.0.1:8000": url,
            "http://collector:4318": engine,
            "http://gpu-1:8000": engine,
            "http://gpu-2:8000": engine.replace("127.0.0.1", "localhost"),
            "http://127.0.0.1:8001": engine,
            "http://127.0.0.1:30000": engine,
            "http://minio:9000 AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...": f"{s3.url} {keys}",
        }

    def here(self, text: str) -> str:
        """Return the text of a page with the names of this place."""
        for name, real in self._names.items():
            text = text.replace(name, real)
        return text


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("server")
    for bucket in BUCKETS:
        (folder / "buckets" / bucket).mkdir(parents=True)
    for number in (76121, 76122):
        Image.new("RGB", (8, 8), "red").save(folder / f"buckets/parts/img_{number}.png")
    (folder / "buckets/jobs/in.jsonl").write_text(LINE % ("a", "img_76121.png"))
    with (
        engine_process() as engine,
        s3_server(folder / "buckets", folder / "s3.log", is_read_only=False) as s3,
    ):
        (folder / "pronk.toml").write_text(SETTINGS % engine.url)
        command = [
            sys.executable,
            "-m",
            "pronk",
            "serve",
            "--config",
            str(folder / "pronk.toml"),
            "--port",
            "0",
        ]
        command += ["--data-dir", str(folder / "data"), "--workers", "1", "--log-format", "json"]
        env = child_environment(s3.variables, without=("AWS_",))
        server = Child("the server", command, env, folder / "log")
        try:
            yield Place(server.wait_for(server_url, 60), engine.url, s3)
        finally:
            server.end()


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", SHELL, ids=name_of)
def test_the_commands_of_a_page_run(page: Path, place: Place, tmp_path: Path) -> None:
    """One shell runs them all; checks, batches and exports may find fault, because one line of the input is bad."""
    (tmp_path / "input.jsonl").write_text(INPUT)
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_bytes((ROOT / "tests/fakes/tls/site.pem").read_bytes())
    text = place.here(script(page))
    text = re.sub(r"^(pronk (check|batches create|run) .*)$", r"\1 || test $? = 1", text, flags=re.MULTILINE)
    text = text.replace("--host 0.0.0.0", "--host 127.0.0.1")
    at_hand = f'"{sys.executable}" "{Path(__file__).with_name("at_hand.py")}"'
    functions = f"""
pronk() {{ if [ "$1" = serve ]; then shift; {at_hand} serve "$@"; else "{sys.executable}" -m pronk "$@"; fi; }}
curl() {{ {at_hand} curl "$@"; }}
set -e
"""
    done = _run(["/bin/sh", "-c", functions + text], place, tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PYTHON, ids=name_of)
def test_the_python_of_a_page_runs(page: Path, place: Place, tmp_path: Path) -> None:
    (tmp_path / "input.jsonl").write_text(INPUT)
    body = b"{}"
    hook = Webhook(
        id=WebhookId("webhook_1"), project_id=DEFAULT_PROJECT, url="https://a.test/", secret=SECRET, events=(), created_at=1
    )  # fmt: skip
    known = f"import time\nENGINE, BODY = {place.engine!r}, {body!r}\n"
    if "headers" in code(page):
        import time

        known += f"HEADERS = {signed_headers(hook, 'evt_1', int(time.time()), body)!r}\n"
    program = known + FIRST.get(name_of(page), "") + "\n" + place.here(code(page))
    done = _run([sys.executable, "-c", program], place, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(PRINTED.get(name_of(page), ""))


def _run(command: list[str], place: Place, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**child_environment(without=("AWS_",)), **place.variables}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=280
    )
