"""Files by reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.conformance.server import JOBS, Server, running_server

from pronk.domain.ids import JobId
from pronk.domain.job import Job, MediaPolicy


def take(http: httpx2.Client, url: str, **more: Any) -> httpx2.Response:
    return http.post("/v1/files/import", json={"url": url, "purpose": "batch", **more})


def test_an_object_becomes_a_file(http: httpx2.Client) -> None:
    file = take(http, "s3://good/requests/in.jsonl").json()
    assert (file["object"], file["filename"], file["purpose"]) == ("file", "in.jsonl", "batch")
    assert http.get(f"/v1/files/{file['id']}/content").text == "requests/in.jsonl\n"
    named = take(
        http, "s3://good/a", filename="b.jsonl", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert named.json()["filename"] == "b.jsonl"
    assert named.json()["expires_at"] == named.json()["created_at"] + 3600


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("s3://none/in.jsonl", "document_not_found"),
        ("s3://good/3000001", "document_too_large"),
        ("https://169.254.169.254/in.jsonl", "document_unsupported"),
        ("file:///etc/passwd", "document_unsupported"),
        ("in.jsonl", "document_unsupported"),
        ("s3://good/dir/", "invalid_filename"),
    ],
)
def test_what_cannot_be_imported_leaves_nothing(
    idle_http: httpx2.Client, idle: Server, url: str, code: str
) -> None:
    before = idle.blobs()
    refused = take(idle_http, url)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, code), refused.text
    assert idle.blobs() == before


def test_only_what_a_job_may_read_or_the_settings_name_is_imported(tmp_path: Path) -> None:
    narrow = Job(id=JobId("job-narrow"), media=MediaPolicy(allow=("s3://good/in/*",)))
    cases: tuple[tuple[dict[str, Any], str, str], ...] = (
        ({"jobs": {narrow.id: narrow}}, "s3://good/in/a", "s3://good/out/a"),
        ({"jobs": JOBS, "import_allow": ("s3://good/out/*",)}, "s3://good/out/a", "s3://good/in/a"),
    )
    for number, (settings, allowed, refused) in enumerate(cases):
        with (
            running_server(tmp_path / str(number), **settings) as server,
            httpx2.Client(base_url=server.url) as http,
        ):
            assert take(http, allowed).status_code == 200
            answer = take(http, refused)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "document_not_allowed")
            assert answer.json()["error"]["param"] == "url"
