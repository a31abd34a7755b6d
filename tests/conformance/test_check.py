"""Preflight over HTTP."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from openai import OpenAI
from tests.conformance.conftest import CHAT, line
from tests.conformance.server import running_server
from tests.conformance.tenants import Tenants

Upload = Callable[[bytes], str]


def picture(url: str) -> list[dict[str, Any]]:
    return [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is it?"}]


def check(http: httpx2.Client, file_id: str, **more: Any) -> httpx2.Response:
    return http.post("/v1/batches/check", json={"input_file_id": file_id, "endpoint": CHAT, **more})


def test_a_report_and_every_reference_as_a_file(client: OpenAI, http: httpx2.Client, upload: Upload) -> None:
    data = (
        line(1, model="priced", content=picture("s3://good/a.png"))
        + line(2, model="priced", content=picture("s3://good/a.png"))
        + line(3, model="priced", content=picture("s3://bad/b.png"))
        + line(3, model="priced")
    )
    file_id = upload(data.encode())
    batches = len(http.get("/v1/batches").json()["data"])
    report = check(http, file_id, job_id="job-priced").json()
    assert (report["object"], report["input_file_id"], report["job_id"]) == (
        "batch.check",
        file_id,
        "job-priced",
    )
    assert not report["ok"]
    assert [(error["line"], error["code"]) for error in report["errors"]] == [(4, "duplicate_custom_id")]
    assert (report["requests"], report["references"], report["uses"]) == (4, 2, 3)
    assert report["failed"] == {"image_not_found": 1}
    assert report["problems"] == [
        {
            "reference": "s3://bad/b.png",
            "kind": "image",
            "line": 3,
            "uses": 1,
            "code": "image_not_found",
            "message": "s3://bad/b.png does not exist",
        }
    ]
    region = report["regions"]["eu-west-1"]
    assert region == {"references": 1, "bytes": 1_000_000, "crosses": True, "cost": pytest.approx(0.00002)}
    assert (report["input_cost"], report["home_region"]) == (
        pytest.approx(report["input_tokens"] * 1e-6),
        "us-east-1",
    )
    details = client.files.content(report["details_file_id"]).text.splitlines()
    assert {json.loads(each)["reference"] for each in details} == {"s3://good/a.png", "s3://bad/b.png"}
    assert client.files.retrieve(report["details_file_id"]).expires_at
    assert len(http.get("/v1/batches").json()["data"]) == batches


def test_a_good_file_is_ok(http: httpx2.Client, upload: Upload) -> None:
    report = check(http, upload(line(1).encode())).json()
    assert (report["ok"], report["references"], report["input_cost"]) == (True, 0, None)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"input_file_id": "file-none"}, 404, "not_found"),
        ({"job_id": "job-none"}, 404, "job_not_found"),
        ({"endpoint": "/v1/images"}, 400, "invalid_value"),
    ],
)
def test_what_can_be_seen_at_once_is_refused(
    http: httpx2.Client, upload: Upload, body: dict[str, str], status: int, code: str
) -> None:
    asked = {"input_file_id": upload(line(1).encode()), "endpoint": CHAT, **body}
    refused = http.post("/v1/batches/check", json=asked)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)


def test_nothing_is_kept_when_the_bytes_are_gone(idle_http: httpx2.Client, idle: Any) -> None:
    made = idle_http.post("/v1/files", files={"file": ("a", b"x")}, data={"purpose": "batch"}).json()
    for path in idle.blobs_folder.rglob(made["id"]):
        path.unlink()
    before = idle.blobs()
    answer = check(idle_http, made["id"], job_id="job-default")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "outage")
    assert idle.blobs() == before


def until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.005)


def test_a_project_with_many_checks_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    """One of its checks runs, eight wait, the next is refused; others' checks and other requests go on meanwhile."""
    with running_server(tmp_path) as server, ThreadPoolExecutor(12) as hands:
        tenants = Tenants(server)
        server.media.are_looks_held = True
        with tenants.http(tenants.writer) as many, tenants.http(tenants.foreign) as other:
            files = []
            for http in (many, other):
                form: dict[str, Any] = {"files": {"file": ("a", line(1, content=picture("s3://good/a.png")))}}
                files.append(http.post("/v1/files", data={"purpose": "batch"}, **form).json()["id"])
            asked = [hands.submit(check, many, files[0]) for _ in range(10)]
            until(lambda: any(one.done() for one in asked))
            (refused,) = (one for one in asked if one.done())
            asked.remove(refused)
            answer = refused.result()
            assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_checks")
            assert int(answer.headers["retry-after"]) > 0
            assert server.media.looking == 1
            asked.append(hands.submit(check, other, files[1]))
            until(lambda: server.media.looking == 2)
            assert many.get("/v1/files").status_code == 200
            server.media.are_looks_held = False
            assert [one.result().status_code for one in asked] == [200] * 10


def test_a_check_ends_in_time_and_with_its_client(tmp_path: Path) -> None:
    with running_server(tmp_path, check_seconds=0.05) as server, httpx2.Client(base_url=server.url) as http:
        form: dict[str, Any] = {"files": {"file": ("a", line(1, content=picture("s3://good/a.png")))}}
        file_id = http.post("/v1/files", data={"purpose": "batch"}, **form).json()["id"]
        before = server.blobs()
        server.media.are_looks_held = True
        late = check(http, file_id)
        assert (late.status_code, late.json()["error"]["code"]) == (400, "check_too_long")
        assert server.blobs() == before
    body = json.dumps({"input_file_id": file_id, "endpoint": CHAT}).encode()
    head = f"POST /v1/batches/check HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    with running_server(tmp_path) as server:
        server.media.are_looks_held = True
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port)) as client:
            client.sendall(head.encode() + b"\r\n\r\n" + body)
            until(lambda: server.media.looking == 1)
        until(lambda: server.media.looking == 0)
        assert server.blobs() == before
