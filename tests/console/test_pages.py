"""What the pages say is what the API says: sums, lines, filters, exports, comparisons, marks."""

from __future__ import annotations

import json
from html import unescape
from typing import Any

import httpx2
import pytest
from markupsafe import escape
from tests.console.conftest import run_batch, token_of
from tests.console.hostile import Page
from tests.console.server import ConsoleServer, line

from pronk.console import wording
from pronk.console.index import distributions


@pytest.fixture(scope="module")
def batch(server: ConsoleServer, http: httpx2.Client) -> str:
    """Sixty lines: answers are JSON with a shape; those of one folder cannot be had."""
    lines = []
    for number in range(60):
        text = json.dumps({"shape": ["circle", "star"][number % 2], "n": number})
        more: dict[str, Any] = {"reference": f"s3://missing/broken/{number}.png"} if number % 10 == 3 else {}
        lines.append(line(number, text, picture=bool(more), **more))
    return run_batch(server.url, http, lines, "Shapes.jsonl", metadata={"owner": "ada"})


def test_sums_are_the_api_s(http: httpx2.Client, batch: str) -> None:
    listed = http.get("/v1/batches?limit=100").json()["data"]
    total = sum(one["request_counts"]["total"] for one in listed)
    failed = sum(one["request_counts"]["failed"] for one in listed)
    page = http.get("/?range=24h").text
    assert f'<dd title="{wording.number(total)}">' in page
    assert f'<dd title="{wording.number(failed)}" class="bad-text">' in page
    assert batch in page


def test_batches_are_searched_and_filtered_by_the_address(http: httpx2.Client, batch: str) -> None:
    for query, is_there in {
        "q=shapes": True,
        "q=ADA": True,
        "q=nothing": False,
        "status=failed": False,
        "q=shapes&status=completed": True,
    }.items():
        assert (f"row-{batch}" in http.get(f"/?{query}").text) == is_there, query


def test_failures_are_grouped_explained_and_shown(http: httpx2.Client, batch: str) -> None:
    page = http.get(f"/batches/{batch}").text
    assert page.count('class="failure"') == 1
    assert "image_not_found" in page
    assert "your data" in page
    assert page.count('class="sample"') == 5
    assert "code=image_not_found" in page


def test_what_sets_the_failed_apart_is_the_folder(http: httpx2.Client, batch: str) -> None:
    page = http.get(f"/batches/{batch}/apart").text
    assert page.index("missing") < page.index("100% of 6 lines fail here")


def test_filters_give_the_same_lines_whoever_asks(http: httpx2.Client, batch: str) -> None:
    for query, count in {
        "": 60, "state=failed": 6, "state=ok": 54, "code=image_not_found": 6, "bucket=missing": 6,
        "q=circle": 30, "q=CIRCLE&state=ok": 30, "q=100%25": 0, "code=none": 0, "unknown=1": 60, "q='; DROP TABLE x": 0,
    }.items():  # fmt: skip
        answer = http.get(f"/batches/{batch}/rows?n=120&{query}")
        assert (int(answer.headers["x-total"]), answer.text.count("data-line=")) == (count, count), query
        exported = http.get(f"/batches/{batch}/export?as=jsonl&{query}").text.splitlines()
        assert len(exported) == count, query
        assert http.get(f"/batches/{batch}/export?as=input&{query}").text.count("\n") == count, query


def test_what_is_typed_stands_in_chips_and_comes_back(http: httpx2.Client, batch: str) -> None:
    typed = (
        '-state:ok output_tokens<=5 has:code reference~broken field.shape:"a \\"b\\"" -has:field.n missing'
    )
    page = http.get(f"/batches/{batch}/results", params={"filter": typed}).text
    shown = [unescape(part.split('"')[0]) for part in page.split('data-chip="')[1:]]
    assert " ".join([*shown, "missing"]) == typed
    assert f'name="filter" value="{escape(typed)}"' in page
    links = [unescape(part.split('"')[0]) for part in page.split('<a class="chip on" href="')[1:]]
    for place, link in enumerate(links):
        rest = http.get(f"/batches/{batch}/results{link}").text
        assert (
            f'name="filter" value="{escape(" ".join([*shown[:place], *shown[place + 1 :], "missing"]))}"'
            in rest
        )


def test_a_filter_that_cannot_be_read_shows_what_is_wrong_and_no_line(
    http: httpx2.Client, batch: str
) -> None:
    answer = http.get(f"/batches/{batch}/results", params={"filter": "state:ok colour:<b>"})
    assert answer.status_code == 400
    assert "from character 10 on: there is no &#39;colour&#39; to filter by" in answer.text
    assert 'value="state:ok colour:&lt;b&gt;"' in answer.text
    assert "/export" not in answer.text
    for path in ("rows", "facets", "columns", "groups", "place", "export"):
        refused = http.get(f"/batches/{batch}/{path}?filter=colour:x&by=code", headers={"x-pronk": "1"})
        assert (refused.status_code, "colour" in refused.json()["error"]["message"]) == (400, True), path


def test_the_table_has_a_column_for_each_field_whose_head_filters(http: httpx2.Client, batch: str) -> None:
    heads = http.get(f"/batches/{batch}/columns").text
    columns = [part.split('"')[0] for part in heads.split('data-column="')[1:]]
    assert columns == ["custom_id", "code", "field.n", "field.shape", "output_tokens", "engine_ms", "bytes"]
    assert heads.count("data-from=") >= 10
    for part in heads.split('<a href="')[1:]:
        link, count = unescape(part.split('"')[0]), int(part.split('data-count="')[1].split('"')[0])
        assert int(http.get(f"/batches/{batch}/rows{link}&n=0").headers["x-total"]) == count
    cells = http.get(f"/batches/{batch}/rows?as=table&n=2&filter=field.shape:star").text
    assert cells.count("line-row") == 2
    assert "star" in cells


def test_counts_that_take_too_long_do_not_hold_up_the_lines(
    http: httpx2.Client, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributions, "SECONDS", 0.0)
    query = "filter=has:prompt"
    facets = http.get(f"/batches/{batch}/facets?{query}")
    assert (facets.status_code, "Counting takes too long" in facets.text) == (200, True)
    heads = http.get(f"/batches/{batch}/columns?{query}")
    assert (heads.status_code, "data-column=" in heads.text, "data-from=" in heads.text) == (200, True, False)
    rows = http.get(f"/batches/{batch}/rows?n=120&{query}")
    assert rows.text.count("data-line=") == 60


def test_groups_are_walked_one_after_the_other(http: httpx2.Client, batch: str) -> None:
    seen, query = [], "?by=field.shape"
    while query:
        page = http.get(f"/batches/{batch}/groups{query}").text
        seen.append(page.split("<summary>")[1].split("<")[0])
        following = page.split('rel="next"')[1].split("</a>")[0]
        query = unescape(following.split('href="')[1].split('"')[0]) if "href=" in following else ""
    assert seen == ["All groups", "circle", "star", "nothing"]
    refused = http.get(f"/batches/{batch}/groups?by=nonsense", headers={"x-pronk": "1"})
    assert refused.status_code == 400


def injections() -> list[str]:
    """Return texts that want to be SQL: every way out of a value, each with every thing to do then."""
    outs = ("'", "''", '"', "\\'", "')", "%' ", "1", "1)", "$$", "' --", "/*", "\0'", "\u02bc", "?", "$1")
    deeds = (
        " OR 1=1 --", "; DROP TABLE lines --", " UNION SELECT * FROM pairs --", "; COPY lines TO '/dev/null' --",
        "; ATTACH '/etc/passwd' AS x --", "; INSTALL httpfs --", " OR read_text('/etc/passwd') IS NOT NULL --",
        "; SET enable_external_access = true --",
    )  # fmt: skip
    return [out + deed for out in outs for deed in deeds]


def test_a_filter_that_wants_to_be_sql_is_a_text_like_any_other(http: httpx2.Client, batch: str) -> None:
    texts = injections()
    assert len(texts) >= 100
    for number, text in enumerate(texts):
        name = ("q", "code", "bucket", "state", "custom_id", "job", "line", "tokens.min")[number % 8]
        answer = http.get(f"/batches/{batch}/rows", params={"n": "120", name: text})
        assert answer.status_code in {200, 400, 422}, (name, text)
        assert "/etc/passwd" not in answer.text or "root:" not in answer.text
        if name in {"q", "code", "bucket"}:
            assert answer.headers["x-total"] == "0", (name, text)
        named = http.get(f"/batches/{batch}/rows", params={"n": "1", text: "1"})
        assert named.status_code in {200, 400, 422}, text
    assert http.get(f"/batches/{batch}/rows?n=120").headers["x-total"] == "60"


def test_places_are_found_by_line_and_by_the_next_failure(http: httpx2.Client, batch: str) -> None:
    def place(query: str) -> Any:
        return http.get(f"/batches/{batch}/place?{query}").json()

    assert place("line=40") == {"place": 39, "line": 40}
    assert place("line=4&failed=1") == {"place": 13, "line": 14}
    assert place("line=60&failed=1") == {"place": 3, "line": 4}
    assert place("line=5&state=failed") == {"place": 1, "line": 14}
    assert place("line=1&code=none") == {"place": None, "line": None}


def test_an_export_as_input_is_what_came_in(http: httpx2.Client, batch: str) -> None:
    batch_id = http.get(f"/v1/batches/{batch}").json()
    whole = http.get(f"/v1/files/{batch_id['input_file_id']}/content").text.splitlines()
    some = http.get(f"/batches/{batch}/export?as=input&state=failed").text.splitlines()
    assert some == [text for number, text in enumerate(whole) if number % 10 == 3]


def test_a_batch_compared_with_itself_is_the_same_and_with_another_adds_up(
    http: httpx2.Client, server: ConsoleServer, batch: str
) -> None:
    page = http.get(f"/compare?left={batch}&right={batch}").text
    assert "Changed <b>0</b>" in page
    assert "The same <b>60</b>" in page
    other = [
        line(number, json.dumps({"shape": "circle", "n": number}), picture=False) for number in range(10, 70)
    ]
    second = run_batch(server.url, http, other)
    page = http.get(f"/compare?left={batch}&right={second}&field=shape").text
    counts = [
        int(page.split(f"{name} <b>")[1].split("<")[0])
        for name in ("Changed", "The same", "Only in the baseline", "Only in the other")
    ]
    assert counts[2:] == [10, 10]
    assert sum(counts[:3]) == 60
    assert "<ins>circle</ins>" in page
    assert "<del>star</del>" in page


def test_marks_are_put_changed_taken_away_and_exported(
    http: httpx2.Client, server: ConsoleServer, batch: str
) -> None:
    headers = {"origin": server.url, "x-csrf-token": token_of(http), "x-pronk": "1"}
    for mark in ("good", "bad"):
        assert (
            http.post(f"/batches/{batch}/lines/7/mark", headers=headers, json={"mark": mark}).json()["mark"]
            == mark
        )
        shown = http.get(f"/batches/{batch}/rows?filter=mark:{mark}")
        assert (shown.headers["x-total"], 'data-line="7"' in shown.text) == ("1", True)
        assert f'href="?mark={mark}"' in http.get(f"/batches/{batch}/facets").text
    rows = [json.loads(text) for text in http.get(f"/batches/{batch}/export?as=jsonl").text.splitlines()]
    assert {row["line"]: row["mark"] for row in rows if row["mark"]} == {7: "bad"}
    assert (
        http.post(f"/batches/{batch}/lines/7/mark", headers=headers, json={"mark": ""}).json()["mark"] is None
    )
    assert (
        http.post(f"/batches/{batch}/lines/999/mark", headers=headers, json={"mark": "x"}).status_code == 404
    )


def test_a_batch_is_made_of_an_upload_and_the_failed_are_tried_again(
    http: httpx2.Client, server: ConsoleServer, batch: str
) -> None:
    headers = {"origin": server.url, "x-csrf-token": token_of(http), "x-pronk": "1"}
    files = {"file": ("up.jsonl", (json.dumps(line(1, "hi", picture=False)) + "\n").encode())}
    up = http.post("/new/file", headers=headers, data={"purpose": "batch"}, files=files).json()
    body = {"input_file_id": up["id"], "endpoint": "/v1/chat/completions", "completion_window": "unlimited"}
    once = {**headers, "idempotency-key": "k1"}
    made = [http.post("/new/start", headers=once, json=body).json()["path"] for _ in range(2)]
    assert made[0] == made[1]
    assert http.get(made[0]).status_code == 200
    wrong = http.post("/new/start", headers=headers, json={**body, "endpoint": "/v1/none"})
    assert (wrong.status_code, "endpoint" in wrong.json()["error"]["message"]) == (400, True)
    again = http.post(f"/batches/{batch}/retry", headers=headers, follow_redirects=False)
    assert again.status_code == 303
    new = http.get(f"/v1{again.headers['location']}").json()
    assert new["id"] != batch


def test_the_playground_streams_an_answer(http: httpx2.Client, server: ConsoleServer) -> None:
    headers = {"origin": server.url, "x-csrf-token": token_of(http), "x-pronk": "1"}
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    answer = http.post("/playground/run/job-default", headers=headers, json=body)
    assert answer.status_code == 200
    assert "data:" in answer.text
    assert http.post("/playground/run/job-none", headers=headers, json=body).status_code == 404


def test_live_pieces_come_at_once_and_only_when_they_change(http: httpx2.Client, batch: str) -> None:
    with http.stream("GET", "/live/batches") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = (text for text in answer.iter_lines() if text.startswith("data:"))
        pieces = json.loads(next(events)[5:])
    assert f"row-{batch}" in pieces
    assert "totals" in pieces


def test_an_address_is_kept_under_a_name_and_forgotten(http: httpx2.Client, server: ConsoleServer) -> None:
    form = {"csrf": token_of(http), "name": "<b>Failed</b>", "address": "/?status=failed&q=a%22b"}
    for address, location in (("/?status=failed&q=a%22b", "/?status=failed&q=a%22b"), ("//evil.test", "/")):
        kept = http.post("/views", headers={"origin": server.url}, data={**form, "address": address})
        assert (kept.status_code, kept.headers["location"]) == (303, location)
    http.post("/views", headers={"origin": server.url}, data=form)
    page = http.get("/").text
    assert "&lt;b&gt;Failed&lt;/b&gt;" in page
    assert 'href="/?status=failed&amp;q=a%22b"' in page
    http.post("/views", headers={"origin": server.url}, data={**form, "forget": "1"})
    assert "Failed&lt;" not in http.get("/").text


def test_a_preflight_says_what_would_come_of_it(http: httpx2.Client, server: ConsoleServer) -> None:
    headers = {"origin": server.url, "x-csrf-token": token_of(http), "x-pronk": "1"}

    def report(lines: list[dict[str, Any]]) -> str:
        data = "".join(json.dumps(one) + "\n" for one in lines).encode()
        up = http.post(
            "/new/file", headers=headers, data={"purpose": "batch"}, files={"file": ("a.jsonl", data)}
        )
        body = {"input_file_id": up.json()["id"], "endpoint": "/v1/chat/completions"}
        answer = http.post("/new/check", headers=headers, json=body)
        assert answer.status_code == 200
        assert Page(answer.text).faults == []
        return answer.text

    good = line(1, "a", reference="s3://good/1.png")
    assert "every line would reach the engine" in report([good])
    some = report(
        [good, line(2, "a", reference="s3://gone/<b>.png"), line(3, "a", reference="s3://gone/2.png")]
    )
    for text in (
        "some lines would fail",
        "image_not_found",
        "s3://gone/&lt;b&gt;.png",
        "eu-west-1",
        "us-east-1",
        "image/png",
    ):
        assert text in some
    twice = report([good, good])
    assert "the file cannot be run" in twice
    assert "duplicate_custom_id" in twice
