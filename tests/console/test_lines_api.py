"""The console's filters for programs: documented, the same lines as on the page, and nobody else's."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from tests.console.conftest import run_batch
from tests.console.server import ConsoleServer, line

QUERIES = (
    "",
    "state=failed",
    "filter=state:ok+field.n%3E%3D20",
    "q=circle",
    "min.output_tokens=1",
    "filter=-has:field.shape",
)


@pytest.fixture(scope="module")
def batch(server: ConsoleServer, http: httpx2.Client) -> str:
    lines = [line(number, json.dumps({"shape": ["circle", "star"][number % 2], "n": number}), picture=False, **({"model": "status-400"} if number % 10 == 3 else {})) for number in range(60)]  # fmt: skip
    return run_batch(server.url, http, lines, "api.jsonl")


def test_the_routes_are_in_the_description(http: httpx2.Client) -> None:
    described = http.get("/openapi.json").json()
    for path in ("lines", "lines/spread", "lines/groups"):
        operation = described["paths"][f"/v1/batches/{{batch_id}}/{path}"]["get"]
        assert operation["description"]
        assert "filter" in {parameter["name"] for parameter in operation["parameters"]}
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert schema["$ref"].split("/")[-1] in described["components"]["schemas"]
    assert "/v1/batches/{batch_id}/lines" in http.get("/docs").text


@pytest.mark.parametrize("query", QUERIES)
def test_lines_are_those_of_the_page_page_by_page(http: httpx2.Client, batch: str, query: str) -> None:
    rows = http.get(f"/batches/{batch}/rows?n=120&{query}")
    shown = [int(part.split('"')[0]) for part in rows.text.split('data-line="')[1:]]
    found: list[int] = []
    after, more = 0, True
    while more:
        answer = http.get(f"/v1/batches/{batch}/lines?{query}&after={after}&limit=7").json()
        assert (answer["total"], answer["is_whole"]) == (len(shown), True)
        found += [one["line"] for one in answer["data"]]
        after, more = answer["last_line"], answer["has_more"]
    assert found == shown
    assert http.get(f"/v1/batches/{batch}/lines?{query}&limit=0").json()["data"] == []


def test_a_line_says_what_there_is(http: httpx2.Client, batch: str) -> None:
    described = http.get("/openapi.json").json()["components"]["schemas"]
    (one,) = http.get(f"/v1/batches/{batch}/lines?filter=line%3E%3D3&limit=1").json()["data"]
    assert set(one) == set(described["FilteredLine"]["properties"])
    assert (one["custom_id"], one["state"], one["fields"]) == ("r2", "ok", {"shape": "circle", "n": "2"})


def test_every_count_has_the_filter_that_shows_its_lines(http: httpx2.Client, batch: str) -> None:
    def total(text: str) -> Any:
        return http.get(f"/v1/batches/{batch}/lines", params={"filter": text, "limit": 0}).json()["total"]

    spread = http.get(f"/v1/batches/{batch}/lines/spread?state=ok").json()
    assert {one["name"] for one in spread["data"]} >= {"field.shape", "field.n"}
    for one in spread["data"]:
        for each in (*one["values"], *one["bins"]):
            assert total(each["filter"]) == each["count"], each
    groups = http.get(f"/v1/batches/{batch}/lines/groups?by=field.shape").json()
    assert [(one["value"], one["count"]) for one in groups["data"]] == [
        ("circle", 30),
        ("star", 24),
        (None, 6),
    ]
    assert [total(one["filter"]) for one in groups["data"]] == [30, 24, 6]


@pytest.mark.parametrize(
    ("path", "param"),
    [("lines?filter=colour:x", "filter"), ("lines?min.bytes=x", "min.bytes"), ("lines/groups?by=colour", "by"), ("lines/groups", "by"), ("lines?limit=9999", "limit"), ("lines/spread?filter=a:b", "filter")],
)  # fmt: skip
def test_bad_queries_get_the_api_s_errors(http: httpx2.Client, batch: str, path: str, param: str) -> None:
    answer = http.get(f"/v1/batches/{batch}/{path}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_a_batch_that_is_not_the_caller_s_does_not_exist(http: httpx2.Client) -> None:
    for path in ("lines", "lines/spread", "lines/groups?by=code"):
        answer = http.get(f"/v1/batches/batch_0196f3c2a1b4d5e6f7a8b9c0d1e/{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
