"""``pronk run`` over a file, a folder, and objects of a store, against a fake engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conformance.conftest import line
from tests.fakes.aws import Aws
from tests.fakes.engine import engine_process
from tests.system.test_make import serving

from pronk.settings import child_environment


def run(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    with engine_process() as engine:
        command = [sys.executable, "-m", "pronk", "run", *arguments, "--engine", engine.url]
        done = subprocess.run(
            command,
            cwd=folder,
            env=child_environment(variables, without=("AWS_",)),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    return done.returncode, done.stdout + done.stderr


def ids(text: str) -> list[str]:
    return [json.loads(each)["custom_id"] for each in text.splitlines()]


def test_a_folder_is_run_file_by_file(tmp_path: Path) -> None:
    requests = tmp_path / "requests"
    requests.mkdir()
    (requests / "a.jsonl").write_text(line(1) + line(2))
    (requests / "b.jsonl").write_text(line(3) + line(4, model="status-400"))
    (requests / "old.output.jsonl").write_text("not requests")
    code, out = run(tmp_path, "requests", "-o", "results/")
    assert code == 1, out
    results = tmp_path / "results"
    assert ids((results / "a.output.jsonl").read_text()) == ["r1", "r2"]
    assert ids((results / "b.output.jsonl").read_text()) == ["r3"]
    assert ids((results / "b.errors.jsonl").read_text()) == ["r4"]
    code, out = run(tmp_path, "requests")
    assert ids((requests / "a.output.jsonl").read_text()) == ["r1", "r2"], out


def test_objects_are_read_and_written(tmp_path: Path) -> None:
    aws = Aws()
    aws.new_bucket("jobs", "eu-west-1").put("in.jsonl", (line(1) + line(2, model="status-400")).encode())
    with serving(aws) as variables:
        code, out = run(tmp_path, "s3://jobs/in.jsonl", "-o", "s3://jobs/out/", **variables)
        assert code == 1, out
        bucket = aws.buckets["jobs"]
        assert ids((bucket.get("out/in.output.jsonl").body or b"").decode()) == ["r1"]
        assert ids((bucket.get("out/in.errors.jsonl").body or b"").decode()) == ["r2"]
        code, out = run(tmp_path, "s3://jobs/in.jsonl", "-o", "here.jsonl", **variables)
        assert ids((tmp_path / "here.jsonl").read_text()) == ["r1"], out
        code, out = run(tmp_path, "s3://jobs/none.jsonl", "-o", "here.jsonl", **variables)
        assert (code, "does not exist" in out) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("none.jsonl",), "is not a file"),
        (("s3://jobs/in.jsonl",), "-o"),
        ((".",), "holds no .jsonl files"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path: Path, arguments: tuple[str, ...], word: str) -> None:
    code, out = run(tmp_path, *arguments)
    assert (code, out.count("\n"), word in out) == (2, 1, True), out
