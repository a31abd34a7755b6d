"""What is wrong is answered with the right code, nothing is half made, and the server lives."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import httpx2
import pytest
from openai import OpenAI
from tests.conformance.conftest import CHAT, line, lines
from tests.conformance.server import Server
from tests.conformance.test_batches import create, until_ended

FORM = "multipart/form-data; boundary=B"
OK_BATCH = {"endpoint": CHAT, "completion_window": "24h"}


class Case(NamedTuple):
    """A request and the answer it has to get."""

    name: str
    request: str
    status: int
    code: str | None
    body: Any = None
    type: str | None = None


def part(name: str, data: bytes = b"x", more: str = "") -> bytes:
    return b'--B\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (
        name.encode(),
        more.encode(),
        data,
    )


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--B--\r\n"


FILE = part("file", b"{}", '; filename="a.jsonl"')
PURPOSE = part("purpose", b"batch")
DEEP = b'{"a":' * 100_000
FILES: list[Case] = [
    Case("no form", "POST /v1/files", 400, "invalid_content_type", b"{}", "application/json"),
    Case("no type", "POST /v1/files", 400, "invalid_content_type", b"abc"),
    Case("no boundary", "POST /v1/files", 400, "invalid_form", form(FILE, PURPOSE), "multipart/form-data"),
    Case("long boundary", "POST /v1/files", 400, "invalid_form", b"x", f"multipart/form-data; boundary={'b' * 300}"),
    Case("empty body", "POST /v1/files", 400, "invalid_form", b"", FORM),
    Case("other boundary", "POST /v1/files", 400, "invalid_form", form(FILE), "multipart/form-data; boundary=C"),
    Case("no last boundary", "POST /v1/files", 400, "invalid_form", FILE + PURPOSE, FORM),
    Case("cut header", "POST /v1/files", 400, "invalid_form", b"--B\r\nContent-Disposition: form-da", FORM),
    Case("bad header", "POST /v1/files", 400, "invalid_form", b"--B\r\nContent Disposition\x00: a\r\n\r\n", FORM),
    Case("no disposition", "POST /v1/files", 400, "invalid_form", form(b"--B\r\nA: b\r\n\r\nx\r\n"), FORM),
    Case("no name", "POST /v1/files", 400, "invalid_form", form(b"--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n"), FORM),
    Case("no parts", "POST /v1/files", 400, "missing_required_parameter", b"--B--\r\n", FORM),
    Case("no file", "POST /v1/files", 400, "missing_required_parameter", form(PURPOSE), FORM),
    Case("file is a field", "POST /v1/files", 400, "missing_required_parameter", form(part("file"), PURPOSE), FORM),
    Case("no purpose", "POST /v1/files", 400, "missing_required_parameter", form(FILE), FORM),
    Case("wrong purpose", "POST /v1/files", 400, "invalid_value", form(FILE, part("purpose", b"fun")), FORM),
    Case("output purpose", "POST /v1/files", 400, "invalid_value", form(FILE, part("purpose", b"batch_output")), FORM),
    Case("binary purpose", "POST /v1/files", 400, "invalid_form", form(FILE, part("purpose", b"\xff")), FORM),
    Case("long field", "POST /v1/files", 400, "invalid_form", form(FILE, part("purpose", b"b" * 70_000)), FORM),
    Case("two files", "POST /v1/files", 400, None, form(FILE, FILE, PURPOSE), FORM),
    Case("65 parts", "POST /v1/files", 400, "invalid_form", form(FILE, PURPOSE, *[part("x")] * 63), FORM),
    Case("empty filename", "POST /v1/files", 400, "invalid_filename", form(part("file", b"x", '; filename=""'), PURPOSE), FORM),
    Case("folder as name", "POST /v1/files", 400, "invalid_filename", form(part("file", b"x", '; filename="a/"'), PURPOSE), FORM),
    Case("NUL in filename", "POST /v1/files", 400, None, form(part("file", b"x", '; filename="a\0b"'), PURPOSE), FORM),
    Case("NUL in filename*", "POST /v1/files", 400, "invalid_filename", form(part("file", b"x", "; filename*=UTF-8''a%00b"), PURPOSE), FORM),
    Case("long filename", "POST /v1/files", 400, "invalid_filename", form(part("file", b"x", f'; filename="{"a" * 513}"'), PURPOSE), FORM),
    Case("expiry too short", "POST /v1/files", 400, "invalid_value", form(FILE, PURPOSE, part("expires_after[anchor]", b"created_at"), part("expires_after[seconds]", b"3599")), FORM),
    Case("expiry too long", "POST /v1/files", 400, "invalid_value", form(FILE, PURPOSE, part("expires_after[anchor]", b"created_at"), part("expires_after[seconds]", b"2592001")), FORM),
    Case("expiry in words", "POST /v1/files", 400, "invalid_value", form(FILE, PURPOSE, part("expires_after[anchor]", b"created_at"), part("expires_after[seconds]", b"1e4")), FORM),
    Case("expiry in other digits", "POST /v1/files", 400, "invalid_value", form(FILE, PURPOSE, part("expires_after[anchor]", b"created_at"), part("expires_after[seconds]", "٤٠٠٠".encode())), FORM),
    Case("expiry without anchor", "POST /v1/files", 400, "invalid_value", form(FILE, PURPOSE, part("expires_after[seconds]", b"4000")), FORM),
    Case("expiry without seconds", "POST /v1/files", 400, "invalid_value", form(FILE, PURPOSE, part("expires_after[anchor]", b"created_at")), FORM),
]  # fmt: skip
PATHS: list[Case] = [
    Case("limit 0", "GET /v1/files?limit=0", 400, "invalid_value"),
    Case("limit over", "GET /v1/files?limit=10001", 400, "invalid_value"),
    Case("limit in words", "GET /v1/files?limit=ten", 400, "invalid_type"),
    Case("limit huge", f"GET /v1/files?limit={'9' * 5000}", 400, None),
    Case("limit NaN", "GET /v1/files?limit=NaN", 400, "invalid_type"),
    Case("limit empty", "GET /v1/files?limit=", 400, "invalid_type"),
    Case("order", "GET /v1/files?order=up", 400, "invalid_value"),
    Case("purpose", "GET /v1/files?purpose=fun", 400, "invalid_value"),
    Case("cursor of another kind", "GET /v1/files?after=batch_1", 400, "invalid_cursor"),
    Case("cursor as a number", "GET /v1/batches?after=20", 400, "invalid_cursor"),
    Case("cursor with NUL", "GET /v1/batches?after=batch_%00", 400, "invalid_cursor"),
    Case("cursor in another script", "GET /v1/batches?after=batch_%E7%8C%AB", 400, "invalid_cursor"),
    Case("cursor that is no text", "GET /v1/batches?after=batch_%FF", 400, "invalid_cursor"),
    Case("batches limit over", "GET /v1/batches?limit=101", 400, "invalid_value"),
    Case("batches limit below", "GET /v1/batches?limit=-1", 400, "invalid_value"),
    Case("status", "GET /v1/batches?status=done", 400, "invalid_value"),
    Case("job filter", "GET /v1/batches?job_id=x%00", 400, "invalid_value"),
    Case("jobs limit", "GET /v1/jobs?limit=1000", 400, "invalid_value"),
    Case("jobs cursor", "GET /v1/jobs?after=file-1", 400, "invalid_cursor"),
    Case("file of another kind", "GET /v1/files/batch_1", 404, "not_found"),
    Case("file with NUL", "GET /v1/files/file-%00", 404, "not_found"),
    Case("file with dots", "GET /v1/files/file-..%2F..%2Fetc", 404, "unknown_url"),
    Case("file of nothing", "GET /v1/files/file-abc", 404, "not_found"),
    Case("long id", f"GET /v1/files/file-{'a' * 5000}", 404, "not_found"),
    Case("delete of nothing", "DELETE /v1/files/file-abc", 404, "not_found"),
    Case("content of nothing", "GET /v1/files/file-abc/content", 404, "not_found"),
    Case("batch of another kind", "GET /v1/batches/file-1", 404, "not_found"),
    Case("batch in another script", "GET /v1/batches/batch_%E7%8C%AB", 404, "not_found"),
    Case("batch with half a character", "GET /v1/batches/batch_%ED%A0%80", 404, "not_found"),
    Case("batch of nothing", "GET /v1/batches/batch_abc", 404, "not_found"),
    Case("cancel of nothing", "POST /v1/batches/batch_abc/cancel", 404, "not_found"),
    Case("results of nothing", "GET /v1/batches/batch_abc/results", 404, "not_found"),
    Case("results limit", "GET /v1/batches/batch_abc/results?limit=1001", 400, "invalid_value"),
    Case("results status", "GET /v1/batches/batch_abc/results?status=fine", 400, "invalid_value"),
    Case("upload of nothing", "POST /v1/uploads/upload_abc/cancel", 404, "not_found"),
    Case("part of nothing", "POST /v1/uploads/upload_abc/parts", 404, "not_found", form(part("data", b"x", '; filename="a"')), FORM),
    Case("job of another kind", "GET /v1/jobs/batch_1", 404, "job_not_found"),
    Case("job of nothing", "GET /v1/jobs/job-nothing", 404, "job_not_found"),
    Case("model of nothing", "GET /v1/models/a/b%00c", 404, "model_not_found"),
    Case("no route", "GET /v1/nothing", 404, "unknown_url"),
    Case("slash at the end", "GET /v1/files/", 404, "unknown_url"),
    Case("other version", "GET /v2/files", 404, "unknown_url"),
    Case("root", "GET /", 404, "unknown_url"),
    Case("method", "PUT /v1/files", 405, "method_not_supported"),
    Case("method on batches", "DELETE /v1/batches/batch_1", 405, "method_not_supported"),
    Case("options", "OPTIONS /v1/batches", 405, "method_not_supported"),
]  # fmt: skip


def batch(**changed: Any) -> dict[str, Any]:
    return {"input_file_id": "file-ok", **OK_BATCH, **changed}


JSON = "application/json"
BATCHES: list[Case] = [
    Case("empty", "POST /v1/batches", 400, "missing_required_parameter", b"", JSON),
    Case("cut", "POST /v1/batches", 400, "invalid_json", b'{"input_file_id":', JSON),
    Case("list", "POST /v1/batches", 400, "invalid_type", b"[]", JSON),
    Case("number", "POST /v1/batches", 400, "invalid_type", b"1e400", JSON),
    Case("not UTF-8", "POST /v1/batches", 400, None, b'{"a":"\xff"}', JSON),
    Case("deep", "POST /v1/batches", 400, None, DEEP, JSON),
    Case("too much", "POST /v1/batches", 413, None, b" " * 1_048_577, JSON),
    Case("form", "POST /v1/batches", 400, "invalid_type", b"input_file_id=file-1", "application/x-www-form-urlencoded"),
    Case("nothing in it", "POST /v1/batches", 400, "missing_required_parameter", {}),
    Case("file is a number", "POST /v1/batches", 400, "invalid_type", batch(input_file_id=1)),
    Case("file is null", "POST /v1/batches", 400, "invalid_type", batch(input_file_id=None)),
    Case("file of nothing", "POST /v1/batches", 404, "not_found", batch(input_file_id="file-nothing")),
    Case("file with NUL", "POST /v1/batches", 404, "not_found", batch(input_file_id="file-\0")),
    Case("file is half a character", "POST /v1/batches", 404, "not_found", b'{"input_file_id":"\\ud800","endpoint":"/v1/embeddings","completion_window":"24h"}', JSON),
    Case("endpoint", "POST /v1/batches", 400, "invalid_value", batch(endpoint="/v1/moderations")),
    Case("endpoint with a slash", "POST /v1/batches", 400, "invalid_value", batch(endpoint=CHAT + "/")),
    Case("no window", "POST /v1/batches", 400, "missing_required_parameter", {"input_file_id": "OK", "endpoint": CHAT}),
    Case("window", "POST /v1/batches", 400, "invalid_value", batch(input_file_id="OK", completion_window="soon")),
    Case("window 0", "POST /v1/batches", 400, "invalid_value", batch(input_file_id="OK", completion_window="0h")),
    Case("window 31d", "POST /v1/batches", 400, "invalid_value", batch(input_file_id="OK", completion_window="31d")),
    Case("window with newline", "POST /v1/batches", 400, "invalid_value", batch(input_file_id="OK", completion_window="24h\n")),
    Case("window is a number", "POST /v1/batches", 400, "invalid_type", batch(completion_window=24)),
    Case("17 pairs", "POST /v1/batches", 400, None, batch(metadata={str(n): "" for n in range(17)})),
    Case("long key", "POST /v1/batches", 400, None, batch(metadata={"k" * 65: ""})),
    Case("long value", "POST /v1/batches", 400, None, batch(metadata={"k": "v" * 513})),
    Case("value is a number", "POST /v1/batches", 400, "invalid_type", batch(metadata={"k": 1})),
    Case("value is half a character", "POST /v1/batches", 400, "invalid_value", batch(metadata={"k": "\ud800"})),
    Case("key is half a character", "POST /v1/batches", 400, "invalid_value", batch(metadata={"\udc00": ""})),
    Case("use_case is half a character", "POST /v1/jobs", 400, "invalid_value", {"use_case": "\ud800"}),
    Case("filename is half a character", "POST /v1/uploads", 400, "invalid_value", {"bytes": 1, "filename": "\ud800", "mime_type": "a", "purpose": "vision"}),
    Case("metadata is a list", "POST /v1/batches", 400, "invalid_type", batch(metadata=[])),
    Case("job of nothing", "POST /v1/batches", 404, "job_not_found", batch(input_file_id="OK", job_id="job-nothing")),
    Case("job of another kind", "POST /v1/batches", 404, "job_not_found", batch(input_file_id="OK", job_id="x")),
    Case("job is a number", "POST /v1/batches", 400, "invalid_type", batch(job_id=1)),
    Case("purpose", "POST /v1/batches", 400, "invalid_purpose", batch(input_file_id="VISION")),
    Case("anchor", "POST /v1/batches", 400, "invalid_value", batch(output_expires_after={"anchor": "now", "seconds": 3600})),
    Case("output expiry", "POST /v1/batches", 400, "invalid_value", batch(output_expires_after={"anchor": "created_at", "seconds": 1})),
    Case("output expiry 1e99", "POST /v1/batches", 400, None, batch(output_expires_after={"anchor": "created_at", "seconds": 1e99})),
    Case("upload of nothing", "POST /v1/uploads", 400, "missing_required_parameter", {}),
    Case("upload below 0", "POST /v1/uploads", 400, "invalid_value", {"bytes": -1, "filename": "a", "mime_type": "a", "purpose": "batch"}),
    Case("upload of NUL", "POST /v1/uploads", 400, "invalid_filename", {"bytes": 1, "filename": "a\0", "mime_type": "a", "purpose": "vision"}),
    Case("upload purpose", "POST /v1/uploads", 400, "invalid_value", {"bytes": 1, "filename": "a", "mime_type": "a", "purpose": "x"}),
    Case("upload NaN", "POST /v1/uploads", 400, None, b'{"bytes":NaN,"filename":"a","mime_type":"a","purpose":"vision"}', JSON),
    Case("complete without parts", "POST /v1/uploads/upload_abc/complete", 400, "missing_required_parameter", {}),
    Case("job NaN", "POST /v1/jobs", 400, "invalid_json", b'{"defaults":{"a":NaN}}', JSON),
]  # fmt: skip


@pytest.fixture(scope="module")
def known(idle: Server) -> Mapping[str, str]:
    """Files that cases name."""
    with httpx2.Client(base_url=idle.url) as http:
        return {
            name: http.post("/v1/files", files={"file": ("a", lines(1))}, data={"purpose": purpose}).json()[
                "id"
            ]
            for name, purpose in (("OK", "batch"), ("VISION", "vision"))
        }


def census(idle: Server, http: httpx2.Client) -> tuple[object, ...]:
    """The newest of everything, and every blob."""
    newest = [http.get(f"/v1/{kind}?limit=1").json()["first_id"] for kind in ("files", "batches")]
    return idle.blobs(), newest, http.get("/v1/jobs?limit=100").json()["last_id"]


@pytest.mark.parametrize(
    "case", FILES + PATHS + BATCHES, ids=lambda case: f"{case.request[:40]}: {case.name}"
)
def test_malformed(idle: Server, idle_http: httpx2.Client, known: Mapping[str, str], case: Case) -> None:
    before = census(idle, idle_http)
    method, target = case.request.split(" ", 1)
    body, headers = case.body, {"Content-Type": case.type} if case.type else {}
    if isinstance(body, dict):
        named = body.get("input_file_id")
        body = json.dumps(body | {"input_file_id": known.get(str(named), named)} if named else body).encode()
        headers = {"Content-Type": JSON}
    answer = idle_http.request(method, target, content=body, headers=headers)
    assert answer.status_code == case.status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert case.code in {None, error["code"]}, error
    assert len(answer.content) < 2000
    assert answer.headers["content-type"] == "application/json"
    assert census(idle, idle_http) == before


def test_a_405_names_every_method_of_the_path(idle_http: httpx2.Client) -> None:
    assert idle_http.put("/v1/files").headers["allow"] == "GET, POST"
    assert idle_http.put("/v1/files/import").headers["allow"] == "POST"
    assert idle_http.put("/v1/batches/check").headers["allow"] == "POST"
    assert idle_http.put("/v1/files/file-1").headers["allow"] == "GET, DELETE"
    assert idle_http.put("/v1/jobs/job-1").headers["allow"] == "GET, PATCH, DELETE"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /v1/files HTTP/9.9\r\n\r\n",
        b"GET /v1/files HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/files/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http(idle: Server, idle_http: httpx2.Client, request_bytes: bytes) -> None:
    host, port = idle.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert not head or b" 400 " in head.splitlines()[0]
    assert not body or "message" in json.loads(body)["error"]
    assert idle_http.get("/health").status_code == 200


LINES: list[tuple[str, bytes, str | None]] = [
    ("not JSON", b"nonsense\n", "invalid_json_line"),
    ("cut", b'{"custom_id":"a"\n', "invalid_json_line"),
    ("a list", b"[]\n", "invalid_json_line"),
    ("a text", b'"a"\n', "invalid_json_line"),
    ("not UTF-8", b'{"custom_id":"\xff"}\n', "invalid_json_line"),
    ("NUL", b"\0\n", "invalid_json_line"),
    ("deep", DEEP + b"\n", "invalid_json_line"),
    ("NaN", line(2).replace('"messages"', '"n":NaN,"messages"').encode(), "invalid_json_line"),
    ("two values", lines(1).strip() + b"{}\n", "invalid_json_line"),
    ("no custom_id", line(2).replace('"custom_id": "r2", ', "").encode(), "missing_required_parameter"),
    ("custom_id is a number", line(2).replace('"r2"', "2").encode(), "invalid_custom_id"),
    ("custom_id is empty", line(2).replace('"r2"', '""').encode(), "invalid_custom_id"),
    ("custom_id is long", line(2).replace("r2", "r" * 513).encode(), "invalid_custom_id"),
    ("custom_id twice", line(1).encode(), "duplicate_custom_id"),
    ("no method", line(2).replace('"method": "POST", ', "").encode(), "missing_required_parameter"),
    ("GET", line(2).replace("POST", "GET").encode(), "invalid_method"),
    ("no url", line(2).replace(f'"url": "{CHAT}", ', "").encode(), "missing_required_parameter"),
    ("other url", line(2).replace(CHAT, "/v1/embeddings").encode(), "url_mismatch"),
    ("no body", b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions"}\n', "missing_required_parameter"),
    ("body is a list", b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":[]}\n', "invalid_request"),
    ("stream", line(2, stream=True).encode(), "invalid_request"),
    ("no model", line(2).replace('"model": "m", ', "").encode(), "missing_required_parameter"),
    ("model is a number", line(2).replace('"m"', "7").encode(), "invalid_request"),
    ("CRLF", line(2).strip().encode() + b"\r\n\r\n", None),
    ("duplicate keys", line(2).replace('"model"', '"model":"x","model"').encode(), None),
    ("huge number", line(2).replace('"model"', '"n":1e400,"k":123456789012345678901234567890,"model"').encode(), None),
    ("escapes", line(2).replace("hello", "\\ud83d\\ude00 \\u0000").encode(), None),
    ("unknown fields", line(2).replace('"method"', '"x":{},"method"').encode(), None),
    ("no newline at the end", line(2).strip().encode(), None),
]  # fmt: skip


@pytest.mark.parametrize(("data", "code"), [case[1:] for case in LINES], ids=[case[0] for case in LINES])
def test_malformed_lines(client: OpenAI, data: bytes, code: str | None) -> None:
    """The bad line is the second; the first is good."""
    file = client.files.create(file=("a", lines(1) + data), purpose="batch").id
    ended = until_ended(client, create(client, file, extra_body={"job_id": "job-default"}))
    if code is None:
        assert (ended.status, ended.error_file_id) == ("completed", None)
        return
    assert ended.status == "failed"
    assert ended.output_file_id is None
    found = (ended.errors.data or []) if ended.errors else []
    assert {(error.code, error.line) for error in found} == {(code, 2)}
    assert all(error.message for error in found)


def test_an_empty_file_fails_the_batch(client: OpenAI) -> None:
    for data in (b"", b"\n\r\n  \n", b"\xef\xbb\xbf"):
        file = client.files.create(file=("a", data), purpose="batch").id
        ended = until_ended(client, create(client, file))
        assert ended.errors is not None
        assert [error.code for error in ended.errors.data or []] == ["empty_file"]


def test_a_hundred_errors_at_most(client: OpenAI) -> None:
    file = client.files.create(file=("a", b"x\n" * 1000), purpose="batch").id
    ended = until_ended(client, create(client, file))
    assert ended.errors is not None
    assert [error.line for error in ended.errors.data or []] == list(range(1, 101))


def test_a_byte_order_mark(client: OpenAI) -> None:
    file = client.files.create(file=("a", b"\xef\xbb\xbf" + lines(2)), purpose="batch").id
    ended = until_ended(client, create(client, file))
    assert (ended.status, ended.error_file_id) == ("completed", None)


@pytest.mark.slow
def test_a_line_of_a_hundred_megabytes(client: OpenAI) -> None:
    file = client.files.create(
        file=("a", lines(1) + line(2, content="x" * 100_000_000).encode()), purpose="batch"
    ).id
    ended = until_ended(client, create(client, file))
    assert ended.errors is not None
    assert [(error.code, error.line) for error in ended.errors.data or []] == [("line_too_long", 2)]
    client.files.delete(file)


HEADS = {
    "one endless header": lambda: [
        b"GET /v1/files HTTP/1.1\r\nHost: localhost\r\nx: ",
        *[b"a" * 100_000] * 100,
    ],
    "endless headers": lambda: [
        b"GET /v1/files HTTP/1.1\r\nHost: localhost\r\n",
        *[b"x-a: b\r\n" * 10_000] * 100,
    ],
    "an endless path": lambda: [b"GET /", *[b"a" * 100_000] * 100],
    "just too much at once": lambda: [
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nx: " + b"a" * 70_000 + b"\r\n\r\n"
    ],
    "an endless trickle": lambda: [b"GET /v1/files HTTP/1.1\r\nHost: localhost\r\nx: ", *[b"a" * 500] * 400],
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_have_an_end(name: str, idle: Server, idle_http: httpx2.Client) -> None:
    """However much is sent, the server stops reading soon, says why, and lives."""
    host, port = idle.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        with suppress(ConnectionError):
            for piece in HEADS[name]():
                connection.sendall(piece)
        answer = b""
        with suppress(ConnectionError):
            while piece := connection.recv(65536):
                answer += piece
    assert not answer or (answer.startswith(b"HTTP/1.1 431 ") and b"headers_too_large" in answer)
    if name == "just too much at once":
        assert answer
    assert idle_http.get("/health").status_code == 200


def test_a_head_that_is_large_enough_is_read(idle_http: httpx2.Client) -> None:
    headers = {f"x-{number}": "a" * 1000 for number in range(60)}
    for _ in range(3):
        assert idle_http.get("/health", headers=headers).status_code == 200
