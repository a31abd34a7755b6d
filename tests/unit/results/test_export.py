"""Results as tables: one row a request, answers as typed columns, and nothing hostile becomes SQL."""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pronk.domain.errors import SettingsError
from pronk.results.export import Sources, export

ERROR = {"code": "image_not_found", "message": "s3://b/x.png does not exist", "param": "messages[0]"}


def request(number: int, **more: Any) -> dict[str, Any]:
    content = [
        {"type": "image_url", "image_url": {"url": f"s3://b/{number}.png"}},
        {"type": "text", "text": f"What is {number}?"},
    ]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    return {"custom_id": f"r{number}", "method": "POST", "url": "/x", "body": {"messages": messages}, **more}


def result(number: int, answer: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 10, "completion_tokens": number, "prompt_tokens_details": {"cached_tokens": 4}}
    choice = {"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
    body = {"model": "m", "choices": [choice], "usage": usage}
    response = {"status_code": 200, "request_id": "x", "body": body}
    return {"id": f"batch_req_1_{number}", "custom_id": f"r{number}", "response": response, "error": None}


def failure(number: int) -> dict[str, Any]:
    return {"id": f"batch_req_1_{number}", "custom_id": f"r{number}", "response": None, "error": ERROR}


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def table(target: Path) -> list[dict[str, Any]]:
    read = {".parquet": "read_parquet", ".csv": "read_csv", ".jsonl": "read_json"}[target.suffix]
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT * FROM {read}(?)", [str(target)])  # noqa: S608
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(
        input=write(tmp_path / "in", [request(n, split="test", metadata={"n": n}) for n in range(1, 5)]),
        output=write(
            tmp_path / "out",
            [
                result(1, '{"shape": "star", "count": 2, "sure": 0.5, "tags": ["a"], "ok": true}'),
                result(2, '```json\n{"shape": "ring", "count": 3, "sure": 1}\n```'),
                result(4, "no JSON"),
            ],
        ),
        errors=write(tmp_path / "err", [failure(3)]),
    )


def test_a_row_for_each_request_in_input_order_with_typed_answers(sources: Sources, tmp_path: Path) -> None:
    target = tmp_path / "table.parquet"
    assert export(sources, target) == 4
    rows = table(target)
    assert [row["custom_id"] for row in rows] == ["r1", "r2", "r3", "r4"]
    first, second, third, fourth = rows
    assert (first["images"], first["prompt"], first["ok"]) == (["s3://b/1.png"], "What is 1?", True)
    assert (first["answer_shape"], first["answer_count"], first["answer_sure"]) == ("star", 2, 0.5)
    assert (json.loads(first["answer_tags"]), first["answer_ok"]) == (["a"], True)
    assert (second["answer_count"], second["answer_sure"], second["answer_ok"]) == (3, 1.0, None)
    assert (first["input_tokens"], first["output_tokens"], first["cached_tokens"]) == (10, 1, 4)
    assert (first["model"], first["finish_reason"], first["status_code"]) == ("m", "stop", 200)
    assert (third["ok"], third["error_code"], third["answer"]) == (False, "image_not_found", None)
    assert third["error_param"] == "messages[0]"
    assert (fourth["answer"], fourth["answer_shape"]) == ("no JSON", None)
    assert {row["input_split"] for row in rows} == {"test"}
    assert [json.loads(row["input_metadata"])["n"] for row in rows] == [1, 2, 3, 4]


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_the_other_forms_hold_the_same(sources: Sources, tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"table{ending}"
    export(sources, target)
    rows = table(target)
    assert [(row["custom_id"], row["answer_count"]) for row in rows] == [
        ("r1", 2),
        ("r2", 3),
        ("r3", None),
        ("r4", None),
    ]


def test_any_file_may_be_missing(sources: Sources, tmp_path: Path) -> None:
    target = tmp_path / "t.parquet"
    assert export(Sources(errors=sources.errors), target) == 1
    assert table(target)[0]["images"] is None
    assert export(Sources(output=sources.output), target) == 3


@pytest.mark.parametrize(
    "name",
    ["'; DROP TABLE x; --", "\"); COPY (SELECT 1) TO '/tmp/x' --", "a\nb", "é💥", "\0", "", "x" * 500, "c0"],
)
def test_names_and_values_of_answers_are_data(tmp_path: Path, name: str) -> None:
    answer = json.dumps({name: "it's \" \\ \0 fine", name.upper() + "_": 1})
    target = tmp_path / "t.parquet"
    export(Sources(output=write(tmp_path / "out", [result(1, answer)])), target)
    [row] = table(target)
    assert "it's \" \\ \0 fine" in row.values()


def test_columns_have_the_narrowest_type_that_holds_all(tmp_path: Path) -> None:
    answers = [{"a": 1, "b": 1, "c": 10**30, "d": None}, {"a": "x", "b": 2.5, "c": 1, "d": None}]
    lines = [result(n, json.dumps(answer)) for n, answer in enumerate(answers, 1)]
    target = tmp_path / "t.parquet"
    export(Sources(output=write(tmp_path / "out", lines)), target)
    rows = table(target)
    assert [row["answer_a"] for row in rows] == ["1", "x"]
    assert [row["answer_b"] for row in rows] == [1.0, 2.5]
    assert [row["answer_c"] for row in rows][1] == "1"
    assert [row["answer_d"] for row in rows] == [None, None]


def test_a_thousand_fields_are_not_a_thousand_columns(tmp_path: Path) -> None:
    lines = [result(n, json.dumps({f"f{n}": n})) for n in range(1, 1001)]
    target = tmp_path / "t.parquet"
    assert export(Sources(output=write(tmp_path / "out", lines)), target) == 1000
    assert len(table(target)[0]) < 330


def test_responses_completions_and_embeddings_are_read(tmp_path: Path) -> None:
    bodies = [
        {
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}],
            "status": "completed",
        },
        {"choices": [{"text": "there", "finish_reason": "length"}]},
        {"data": [{"embedding": [0.5, 1]}]},
        {"error": {"message": "no", "code": None, "type": "invalid_request_error"}},
    ]
    lines = [
        {
            "id": f"batch_req_1_{n}",
            "custom_id": "x",
            "response": {"status_code": 200 if n < 4 else 400, "body": body},
        }
        for n, body in enumerate(bodies, 1)
    ]
    target = tmp_path / "t.parquet"
    export(Sources(output=write(tmp_path / "out", lines)), target)
    rows = table(target)
    assert [row["answer"] for row in rows] == ["hi", "there", None, None]
    assert rows[2]["embedding"] == [0.5, 1.0]
    assert (rows[3]["ok"], rows[3]["error_code"]) == (False, "invalid_request_error")


def test_memory_does_not_grow_with_the_results(tmp_path: Path) -> None:
    lines = (json.dumps(result(n, json.dumps({"text": "x" * 1000}))) + "\n" for n in range(1, 10_001))
    (tmp_path / "out").write_text("".join(lines))
    tracemalloc.start()
    export(Sources(output=tmp_path / "out"), tmp_path / "t.parquet")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_what_cannot_be_exported_is_said(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for target, word in (("t.xlsx", "has to end in"), ("none/t.csv", "is not a folder")):
        with pytest.raises(SettingsError, match=word):
            export(sources, tmp_path / target)
    with pytest.raises(SettingsError, match="is not a file of results"):
        export(Sources(output=sources.input), tmp_path / "t.csv")
    assert not list(tmp_path.glob("t.*"))
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(SettingsError, match="pip install 'pronk\\[export\\]'"):
        export(sources, tmp_path / "t.csv")
