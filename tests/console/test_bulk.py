"""What is done with all lines of a filter is done with exactly those that were shown, or not at all."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from tests.console.conftest import run_batch, token_of, wait_for
from tests.console.server import ConsoleServer, line

FAILED = range(4, 61, 10)


@pytest.fixture
def batch(server: ConsoleServer, http: httpx2.Client) -> str:
    lines = [line(number, json.dumps({"n": number}), picture=False, **({"model": "status-400"} if number in FAILED else {})) for number in range(1, 61)]  # fmt: skip
    return run_batch(server.url, http, lines, "bulk.jsonl")


@pytest.fixture
def headers(http: httpx2.Client, server: ConsoleServer) -> dict[str, str]:
    return {"origin": server.url, "x-csrf-token": token_of(http), "x-pronk": "1"}


def agreed(http: httpx2.Client, batch: str, query: str) -> dict[str, Any]:
    """What the dialog shows, as it sends it."""
    dialog = http.get(f"/batches/{batch}/bulk?{query}").text
    part = dialog.split('data-count="')[1]
    return {"count": int(part.split('"')[0]), "seal": part.split('data-seal="')[1].split('"')[0]}


def marks(http: httpx2.Client, batch: str) -> dict[int, str]:
    rows = [json.loads(text) for text in http.get(f"/batches/{batch}/export?as=jsonl").text.splitlines()]
    return {row["line"]: row["mark"] for row in rows if row["mark"]}


def test_the_dialog_repeats_count_and_filter(http: httpx2.Client, batch: str) -> None:
    dialog = http.get(f"/batches/{batch}/bulk?state=failed&min.line=10").text
    assert '<h2 id="bulk-title">5 lines</h2>' in dialog
    assert "<code>state:failed line&gt;=10</code>" in dialog
    assert "Run 5 lines again" in dialog
    assert "without any filter" in http.get(f"/batches/{batch}/bulk").text


def test_lines_are_marked_in_bulk_and_a_changed_set_is_refused(
    http: httpx2.Client, batch: str, headers: dict[str, str]
) -> None:
    deed = {"do": "mark", "mark": "again", **agreed(http, batch, "state=failed")}
    assert deed["count"] == len(FAILED)
    path = f"/batches/{batch}/bulk"
    for query in ("state=ok", "", "state=failed&min.line=10"):
        refused = http.post(f"{path}?{query}", headers=headers, json=deed)
        counted = int(http.get(f"/batches/{batch}/rows?n=0&{query}").headers["x-total"])
        assert refused.status_code == 409, query
        assert f"there were 6, there are {counted} now" in refused.json()["error"]["message"]
    others = {**deed, "seal": agreed(http, batch, "min.line=1&max.line=6")["seal"]}
    assert (
        "as many but others"
        in http.post(f"{path}?state=failed", headers=headers, json=others).json()["error"]["message"]
    )
    assert marks(http, batch) == {}
    assert http.post(f"{path}?state=failed", headers=headers, json=deed).json() == {
        "done": 6,
        "mark": "again",
    }
    assert marks(http, batch) == dict.fromkeys(FAILED, "again")
    gone = {**deed, "mark": "", **agreed(http, batch, "line=1&max.line=20")}
    assert http.post(f"{path}?max.line=20", headers=headers, json=gone).json() == {"done": 20, "mark": None}
    assert sorted(marks(http, batch)) == [number for number in FAILED if number > 20]


def test_nothing_is_done_with_no_line(http: httpx2.Client, headers: dict[str, str], batch: str) -> None:
    deed = {"do": "run", **agreed(http, batch, "code=none")}
    assert deed["count"] == 0
    refused = http.post(f"/batches/{batch}/bulk?code=none", headers=headers, json=deed)
    assert (refused.status_code, "nothing to do" in refused.json()["error"]["message"]) == (400, True)


def test_exactly_the_lines_of_a_filter_are_run_again(
    http: httpx2.Client, batch: str, headers: dict[str, str]
) -> None:
    deed = {"do": "run", **agreed(http, batch, "filter=field.n%3E50")}
    done = http.post(f"/batches/{batch}/bulk?filter=field.n%3E50", headers=headers, json=deed).json()
    made = http.get(f"/v1{done['path']}").json()
    files = [
        http.get(f"/v1/files/{one['input_file_id']}/content").text.splitlines()
        for one in (http.get(f"/v1/batches/{batch}").json(), made)
    ]
    assert files[1] == [
        text for number, text in enumerate(files[0], 1) if number > 50 and number not in FAILED
    ]
    assert http.get(f"/v1/files/{made['input_file_id']}").json()["filename"] == "bulk.lines.jsonl"
    wait_for(lambda: http.get(f"/v1{done['path']}").json()["status"] == "completed")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"do":"drop","count":1,"seal":"x"}', b'{"do":"run"}'])
def test_what_is_no_deed_is_refused(
    http: httpx2.Client, batch: str, headers: dict[str, str], body: bytes
) -> None:
    assert http.post(f"/batches/{batch}/bulk", headers=headers, content=body).status_code == 400


def test_a_form_of_another_site_does_nothing(
    http: httpx2.Client, batch: str, headers: dict[str, str]
) -> None:
    deed = {"do": "mark", "mark": "x", **agreed(http, batch, "")}
    foreign = {**headers, "origin": "https://evil.test"}
    assert http.post(f"/batches/{batch}/bulk", headers=foreign, json=deed).status_code == 403
    assert marks(http, batch) == {}
