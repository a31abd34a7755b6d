"""``pronk export`` of a batch of a server, and of files."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
from tests.conformance.conftest import line
from tests.unit.cli.conftest import Run


def test_a_batch_becomes_a_table(run: Run) -> None:
    Path("in.jsonl").write_text(line(1) + line(2, model="status-400"))
    batch = run("batches", "create", "in.jsonl", "--watch")[1].split()[0]
    assert run("export", batch, "--to", "t.parquet")[:2] == (0, "2 rows: t.parquet\n")
    with duckdb.connect() as connection:
        rows = connection.execute("SELECT custom_id, ok, prompt, status_code FROM 't.parquet'").fetchall()
    assert rows == [("r1", True, "hello", 200), ("r2", False, "hello", 400)]
    run("files", "delete", json.loads(run("batches", "show", batch, "--json")[1])["input_file_id"])
    assert run("export", batch, "--to", "t.csv")[0] == 0


def test_files_need_no_server(run: Run) -> None:
    Path("in.jsonl").write_text(line(1))
    batch = run("batches", "create", "in.jsonl", "--watch")[1].split()[0]
    run("batches", "results", batch, "-o", "out.jsonl")
    code, out, _ = run("export", "out.jsonl", "--input", "in.jsonl", "--to", "t.jsonl")
    assert (code, out, json.loads(Path("t.jsonl").read_text())["prompt"]) == (0, "1 rows: t.jsonl\n", "hello")


def test_what_cannot_be_exported_is_one_line(run: Run) -> None:
    Path("bad.jsonl").write_text("no json\n")
    failed = run("batches", "create", "bad.jsonl", "--watch")[1].split()[0].rstrip(":")
    for arguments, word in (
        (("batch_none", "--to", "t.csv"), "batch_none"),
        ((failed, "--to", "t.csv"), "has no results"),
        (("bad.jsonl", "--to", "t.csv"), "is not a file of results"),
        (("bad.jsonl", "--to", "t.xls"), "has to end in"),
        (("bad.jsonl", "--input", "none", "--to", "t.csv"), "is not a file"),
    ):
        code, _, err = run("export", *arguments)
        assert (code > 0, err.count("\n"), word in err) == (True, 1, True), err
