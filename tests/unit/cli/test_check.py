"""``pronk check``, on this machine and on a server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.server import Server, running_server
from tests.media.pictures import png
from tests.unit.cli.conftest import Run

from pronk.cli.check_page import page

PICTURE = "data:image/png;base64," + base64.b64encode(png()).decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def run(command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.delenv("PRONK_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return command


def write(*references: str) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": [image(each) for each in references]}]}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    Path("in.jsonl").write_text(json.dumps(line) + "\n")
    return "in.jsonl"


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_this_machine_checks_where_no_server_is_named(run: Run) -> None:
    code, out, _ = run("check", write(PICTURE), "--details", "all.jsonl")
    assert (code, out.splitlines()[0]) == (0, "in.jsonl: 1 requests, all good")
    assert "image/png" in out
    assert json.loads(Path("all.jsonl").read_text())["bytes"] == len(png())


def test_what_is_wrong_is_said_with_its_line(run: Run) -> None:
    file = write(PICTURE, "ftp://x/y.png")
    code, out, _ = run("check", file)
    assert code == 1
    assert "line 1: image_unsupported: ftp://x/y.png is not a reference that is served" in out
    code, out, _ = run("check", file, "--json", "--report", "page.html")
    assert (code, json.loads(out)["failed"]) == (1, {"image_unsupported": 1})
    assert "ftp://x/y.png" in Path("page.html").read_text()


def test_a_server_checks_where_one_is_named(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRONK_URL", server.url)
    code, out, _ = run("check", write("s3://good/a.png"), "--details", "all.jsonl")
    assert (code, "eu-west-1" in out) == (0, True)
    assert json.loads(Path("all.jsonl").read_text())["region"] == "eu-west-1"
    assert all("in.jsonl" not in name for name in run("files", "list")[1].splitlines())
    file_id = run("files", "upload", write("s3://bad/a.png"))[1].strip()
    assert run("check", file_id)[0] == 1
    assert run("files", "show", file_id)[0] == 0


@pytest.mark.parametrize("file", ["none.jsonl", "."])
def test_what_is_no_file_is_wrong_usage(run: Run, file: str) -> None:
    code, out, err = run("check", file)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_nothing_in_the_page_is_markup() -> None:
    hostile = "<script>alert(1)</script>"
    problem = {"line": 1, "reference": hostile, "code": hostile, "message": hostile}
    amount = {"references": 1, "bytes": 1, "crosses": True, "cost": 1.0}
    found = {
        **dict.fromkeys(
            ("requests", "references", "uses", "readable", "bytes", "crossing_bytes", "input_tokens"), 1
        ),
        "ok": False,
        "job_id": hostile,
        "crossing_cost": 1.0,
        "input_cost": 1.0,
        "errors": [problem],
        "failed": {hostile: 1},
        "problems": [problem],
        "regions": {hostile: amount},
        "types": {hostile: amount},
    }
    text = page(hostile, found)
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 9
