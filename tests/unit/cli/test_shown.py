"""What commands print: tables, fields, sizes, progress."""

from __future__ import annotations

import json

import pytest

from pronk.cli import show
from pronk.cli.batches import counts
from pronk.cli.progress import BatchProgress, describe, transfer
from pronk.domain.batch import Counts


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_table_is_aligned_below_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, object]] = [{"id": "a", "n": 1}, {"id": "longer", "n": None}]
    show.as_table(rows, (("ID", lambda row: row["id"]), ("N", lambda row: row["n"])), empty="none")
    assert capsys.readouterr().out == "ID      N\na       1\nlonger\n"


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show.as_table([], (("ID", lambda row: row["id"]),), empty="no files")
    assert capsys.readouterr().out == "no files\n"


def test_fields_leave_out_what_has_not_happened(capsys: pytest.CaptureFixture[str]) -> None:
    show.as_fields({"id": "b", "object": "batch", "failed_at": None, "created_at": 0, "metadata": {"ä": "1"}})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["id", "created_at", "metadata"]
    assert lines[1].split()[1].startswith(("1970-01-01", "1969-12-31"))
    assert lines[2].endswith('{"ä": "1"}')


def test_json_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    show.as_json({"a": "ä\n"})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"a": "ä\n"}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (200_000_000, "200.0 MB"), (3e15, "3000.0 TB")],
)
def test_sizes_are_for_people(count: float, text: str) -> None:
    assert show.size(count) == text


def test_a_batch_is_described_in_a_line() -> None:
    assert describe("validating", Counts()) == "validating"
    assert describe("in_progress", Counts(10, 3, 0)) == "in_progress, 3 of 10 done"
    assert describe("completed", Counts(10, 8, 2)) == "completed, 10 of 10 done, 2 failed"
    assert counts({"request_counts": None}) == Counts()
    assert counts({"request_counts": {"total": 3, "completed": 2, "failed": 1}}) == Counts(3, 2, 1)


def test_away_from_a_terminal_progress_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with BatchProgress("b", clock=clock) as progress:
        progress.show("in_progress", Counts(10, 1, 0))
        progress.show("in_progress", Counts(10, 2, 0))
        clock.now += 5
        progress.show("in_progress", Counts(10, 3, 0))
        clock.now += 5
        progress.show("in_progress", Counts(10, 3, 0))
        progress.show("completed", Counts(10, 9, 1))
    assert capsys.readouterr().err.splitlines() == [
        "b: in_progress, 1 of 10 done",
        "b: in_progress, 3 of 10 done",
        "b: completed, 10 of 10 done, 1 failed",
    ]


def test_on_a_terminal_progress_is_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    with BatchProgress("b") as progress:
        progress.show("in_progress", Counts(10, 4, 1))
    with transfer("in.jsonl", 10) as on_bytes:
        on_bytes(10)
    shown = capsys.readouterr().err
    assert "5/10" in shown
    assert "in_progress" in shown
    assert "1 failed" in shown
