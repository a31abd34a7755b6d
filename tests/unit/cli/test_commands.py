"""The client commands against a whole server: real API, store and worker, a fake engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import Run


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """Three good requests."""
    return _write(tmp_path / "in.jsonl", [{"custom_id": f"r{n}"} for n in range(3)])


def test_a_file_goes_up_and_down_and_away(run: Run, requests: Path) -> None:
    code, out, err = run("files", "upload", str(requests))
    file_id = out.strip()
    assert (code, err) == (0, f"uploaded in.jsonl ({requests.stat().st_size} B)\n")
    assert file_id in run("files", "list", "--purpose", "batch")[1]
    assert json.loads(run("files", "show", file_id, "--json")[1])["filename"] == "in.jsonl"
    assert run("files", "download", file_id, "-o", "copy.jsonl")[1] == "copy.jsonl\n"
    assert Path("copy.jsonl").read_bytes() == requests.read_bytes()
    assert run("files", "delete", file_id) == (0, f"{file_id} deleted\n", "")
    assert run("files", "show", file_id)[0] == 1


def test_a_download_may_go_to_standard_output(run: Run, requests: Path) -> None:
    file_id = run("files", "upload", str(requests))[1].strip()
    command = [sys.executable, "-m", "pronk", "files", "download", file_id, "-o", "-"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == requests.read_bytes()


def test_nothing_is_left_of_a_download_that_fails(run: Run) -> None:
    code, _, err = run("files", "download", "file-none", "-o", "copy.jsonl")
    assert code == 1
    assert "file-none" in err
    assert list(Path().glob("copy*")) == []


def test_a_batch_is_created_watched_and_fetched(run: Run, requests: Path) -> None:
    code, out, err = run("batches", "create", str(requests), "--metadata", "team=parts", "--watch")
    batch_id, summary = out.splitlines()
    assert (code, summary) == (0, f"{batch_id}: completed, 3 of 3 done")
    assert f"{batch_id}: completed, 3 of 3 done" in err
    assert json.loads(run("batches", "show", batch_id, "--json")[1])["metadata"] == {"team": "parts"}
    assert run("batches", "show", batch_id)[1].startswith(f"id{' ' * 17}")
    assert run("batches", "results", batch_id, "-o", "out.jsonl") == (0, "out.jsonl\n", "")
    assert [json.loads(line)["custom_id"] for line in Path("out.jsonl").read_text().splitlines()] == [
        "r0",
        "r1",
        "r2",
    ]


def test_a_batch_may_be_made_of_an_uploaded_file(run: Run, requests: Path) -> None:
    file_id = run("files", "upload", str(requests))[1].strip()
    code, out, err = run("batches", "create", file_id, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["input_file_id"] == file_id
    assert run("batches", "watch", json.loads(out)["id"])[0] == 0


def test_watching_in_json_prints_each_change(run: Run, requests: Path) -> None:
    _, out, _ = run("batches", "create", str(requests), "--json")
    code, out, _ = run("batches", "watch", json.loads(out)["id"], "--json")
    seen = [json.loads(line)["status"] for line in out.splitlines()]
    assert (code, seen[-1]) == (0, "completed")


def test_a_batch_that_fails_says_which_line_and_why(run: Run, tmp_path: Path) -> None:
    bad = _write(tmp_path / "bad.jsonl", [{"custom_id": "a"}, {"custom_id": "a"}])
    code, out, _ = run("batches", "create", str(bad), "--watch")
    assert code == 1
    assert ": failed" in out
    assert "line 2: duplicate_custom_id: " in out


def test_batches_are_listed_by_status_and_page(run: Run, requests: Path) -> None:
    for _ in range(3):
        run("batches", "create", str(requests), "--watch")
    found = json.loads(run("batches", "list", "--status", "completed", "--limit", "2", "--json")[1])["data"]
    assert [batch["status"] for batch in found] == ["completed", "completed"]
    assert run("batches", "list")[1].splitlines()[0].split() == [
        "ID",
        "STATUS",
        "DONE",
        "FAILED",
        "MODEL",
        "JOB",
        "CREATED",
    ]
    assert run("batches", "list", "--status", "expired")[1] == "no batches\n"


def test_a_batch_that_has_ended_cannot_be_cancelled(run: Run, requests: Path) -> None:
    batch_id = run("batches", "create", str(requests), "--watch")[1].splitlines()[0]
    code, _, err = run("batches", "cancel", batch_id)
    assert code == 1
    assert "completed" in err


def test_what_the_server_refuses_is_one_line(run: Run, requests: Path) -> None:
    code, out, err = run("batches", "create", str(requests), "--completion-window", "3w")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("pronk: ")
    assert "3w" in err
    assert run("batches", "create", str(requests), "--metadata", "team")[0] == 2


def test_jobs_are_listed_and_shown(run: Run) -> None:
    assert "job-priced" in run("jobs", "list")[1]
    assert {job["id"] for job in json.loads(run("jobs", "list", "--json")[1])["data"]} >= {
        "job-default",
        "job-cold",
    }
    assert json.loads(run("jobs", "show", "job-priced", "--json")[1])["model"] == "priced"
    assert "priced" in run("jobs", "show", "job-priced")[1]
    assert run("jobs", "show", "job-none")[0] == 1


def _write(path: Path, lines: list[dict[str, Any]]) -> Path:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    whole = [{"method": "POST", "url": "/v1/chat/completions", "body": body, **line} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in whole))
    return path


def test_failed_lines_are_tried_again(run: Run, tmp_path: Path) -> None:
    refused = {"model": "status-400", "messages": [{"role": "user", "content": "hello"}]}
    lines: list[dict[str, Any]] = [{"custom_id": "good"}, {"custom_id": "bad", "body": refused}]
    code, out, _ = run("batches", "create", str(_write(tmp_path / "mixed.jsonl", lines)), "--watch")
    first = out.splitlines()[0]
    assert code == 1
    code, out, _ = run("batches", "retry", first, "--metadata", "try=2", "--watch")
    second, summary = out.splitlines()
    assert (code, summary) == (1, f"{second}: completed, 1 of 1 done, 1 failed")
    assert json.loads(run("batches", "clone", first, "--json")[1])["metadata"] is None
    good = run("batches", "create", str(_write(tmp_path / "good.jsonl", lines[:1])), "--watch")[1].split()[0]
    code, _, err = run("batches", "retry", good)
    assert (code, err.count("\n")) == (1, 1)
    assert "no failed line" in err
