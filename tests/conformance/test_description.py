"""The API's own description, its page, and the routes for operators."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.conformance.server import running_server


@pytest.fixture(scope="module")
def description(http: httpx2.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/openapi.json").json()
    return found


def operations(description: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in description["paths"].items()
        for method, operation in item.items()
    ]


def test_it_describes_every_route_of_the_contract(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    found = {f"{method.upper()} {path}" for path, method, _ in operations(description)}
    assert found == {
        "POST /v1/files", "POST /v1/files/import", "GET /v1/files", "GET /v1/files/{file_id}", "DELETE /v1/files/{file_id}",
        "GET /v1/files/{file_id}/content",
        "POST /v1/uploads", "POST /v1/uploads/{upload_id}/parts", "POST /v1/uploads/{upload_id}/complete",
        "POST /v1/uploads/{upload_id}/cancel",
        "POST /v1/batches", "GET /v1/batches", "GET /v1/batches/{batch_id}", "POST /v1/batches/{batch_id}/cancel",
        "GET /v1/batches/{batch_id}/results", "POST /v1/batches/{batch_id}/retry", "POST /v1/batches/{batch_id}/clone",
        "POST /v1/batches/check",
        "POST /v1/jobs", "GET /v1/jobs", "GET /v1/jobs/{job_id}", "PATCH /v1/jobs/{job_id}", "DELETE /v1/jobs/{job_id}",
        "GET /v1/models", "GET /v1/models/{model}",
        "POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings", "POST /v1/responses",
        "POST /v1/keys", "GET /v1/keys", "GET /v1/keys/{key_id}", "POST /v1/keys/{key_id}/revoke",
        "POST /v1/projects", "GET /v1/projects", "GET /v1/projects/{project_id}", "PATCH /v1/projects/{project_id}",
        "GET /v1/audit",
        "POST /v1/webhooks", "GET /v1/webhooks", "GET /v1/webhooks/{webhook_id}", "DELETE /v1/webhooks/{webhook_id}",
        "GET /v1/webhooks/{webhook_id}/deliveries", "GET /v1/batches/{batch_id}/deliveries",
        "GET /health", "GET /ready", "GET /metrics",
    }  # fmt: skip


def test_every_operation_is_told_apart_and_explained(description: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(description)]
    assert len(set(names)) == len(names)
    for path, method, operation in operations(description):
        assert operation["description"], (method, path)
        assert "422" not in operation["responses"]
    assert "ValidationError" not in json.dumps(description)


def test_every_error_has_the_envelope(description: dict[str, Any]) -> None:
    for path, method, operation in operations(description):
        for status, answer in operation["responses"].items():
            if status.isdigit() and int(status) >= 400:
                schema = answer["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Error"}, (method, path, status)


def test_the_page_shows_every_route_and_loads_nothing(
    http: httpx2.Client, description: dict[str, Any]
) -> None:
    page = http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in description["paths"]:
        assert path in page.text
    assert not re.search(r'(src|href)="(?!openapi\.json)', page.text)
    assert "s3://parts/img_76121.png" in page.text


def test_health_and_metrics(http: httpx2.Client) -> None:
    assert http.get("/health").json()["status"] == "ok"
    assert http.head("/health").status_code == 200
    http.get("/v1/batches/batch_abc")
    metrics = http.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    counted = r'pronk_http_requests_total\{method="GET",route="/v1/batches/\{batch_id\}",status="404"\} [1-9]'
    assert re.search(counted, metrics.text)


def test_every_answer_has_a_request_id(http: httpx2.Client) -> None:
    ids = {http.get(path).headers["x-request-id"] for path in ("/health", "/v1/files", "/nothing")}
    assert len(ids) == 3
    assert all(request_id.startswith("req_") for request_id in ids)


def test_ready(http: httpx2.Client, idle_http: httpx2.Client) -> None:
    assert http.get("/ready").json()["workers"] == 1
    refused = idle_http.get("/ready")
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "no_workers"


def test_an_outage_is_said(tmp_path: Path) -> None:
    """The storage is taken away under the server."""
    with running_server(tmp_path) as server, httpx2.Client(base_url=server.url) as http:
        made = http.post("/v1/files", files={"file": ("a", b"x")}, data={"purpose": "vision"}).json()
        for path in server.blobs_folder.rglob(made["id"]):
            path.unlink()
        answer = http.get(f"/v1/files/{made['id']}/content")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "outage")
        assert answer.headers["retry-after"] == "1"
        (server.blobs_folder / "files").rmdir()
        server.blobs_folder.rmdir()
        server.blobs_folder.write_text("no folder")
        refused = http.get("/ready")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
        lost = http.post("/v1/files", files={"file": ("a", b"x")}, data={"purpose": "vision"})
        assert lost.status_code == 503
        assert str(tmp_path) not in refused.text + lost.text
