"""What a project may read at all: every door of the API, whatever its jobs allow."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.conformance.conftest import CHAT, line
from tests.conformance.server import running_server
from tests.conformance.tenants import Tenants

from pronk.cli.local import on_store
from pronk.store.store import Store

OWN, FOREIGN = "s3://good/alpha/1.png", "s3://good/beta/1.png"


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """A server whose project alpha may read ``s3://good/alpha/*`` only; beta may read everything."""
    folder = tmp_path_factory.mktemp("bounds")
    with running_server(folder, has_worker=True, output_allow=("s3://good/*",)) as server:
        tenants = Tenants(server)
        with tenants.http(tenants.admin) as http:
            body = {"allow": ["s3://good/alpha/*"]}
            assert http.patch(f"/v1/projects/{tenants.alpha}", json=body).json()["allow"] == body["allow"]
        yield tenants


def asking(*references: str) -> bytes:
    return b"".join(
        line(number, content=[{"type": "image_url", "image_url": {"url": reference}}]).encode() + b"\n"
        for number, reference in enumerate(references)
    )


def upload(http: httpx2.Client, data: bytes) -> str:
    form: dict[str, Any] = {"files": {"file": ("in.jsonl", data)}, "data": {"purpose": "batch"}}
    return str(http.post("/v1/files", **form).json()["id"])


def ended(http: httpx2.Client, batch_id: str) -> dict[str, Any]:
    while True:
        batch: dict[str, Any] = http.get(f"/v1/batches/{batch_id}").json()
        if batch["status"] in {"completed", "failed"}:
            return batch
        time.sleep(0.02)


def run_batch(http: httpx2.Client, data: bytes, **more: Any) -> list[str | None]:
    """Return the code of each line, None for one that was answered."""
    body = {"input_file_id": upload(http, data), "endpoint": CHAT, "completion_window": "24h", **more}
    batch = http.post("/v1/batches", json=body).json()
    assert ended(http, batch["id"])["status"] == "completed", batch
    found = http.get(f"/v1/batches/{batch['id']}/results").json()["data"]
    return [(result["error"] or {}).get("code") for result in found]


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_no_door_of_a_bounded_project_leads_further(bounded: Tenants) -> None:
    chat = {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": FOREIGN}}]}],
    }
    with bounded.http(bounded.writer) as http:
        wide = http.post("/v1/jobs", json={"model": "m", "media": {"allow": ["*"]}}).json()
        for job_id in (wide["id"], "job-default"):
            assert run_batch(http, asking(OWN, FOREIGN), job_id=job_id) == [None, "image_not_allowed"]
            file_id = upload(http, asking(OWN, FOREIGN))
            report = http.post(
                "/v1/batches/check", json={"input_file_id": file_id, "endpoint": CHAT, "job_id": job_id}
            ).json()
            assert [(problem["reference"], problem["code"]) for problem in report["problems"]] == [
                (FOREIGN, "image_not_allowed")
            ]
        assert code_of(http.post(CHAT, json=chat)) == (400, "image_not_allowed")
        assert code_of(http.post("/v1/files/import", json={"url": FOREIGN, "purpose": "batch"})) == (
            400,
            "document_not_allowed",
        )
        assert http.post("/v1/files/import", json={"url": OWN, "purpose": "batch"}).status_code == 200
        inline = "data:image/png;base64,aGk="
        assert http.get(f"/v1/jobs/{wide['id']}").json()["media"]["allow"] == ["*"]
        assert run_batch(http, asking(OWN.replace("s3://good/", inline)), job_id=wide["id"]) == [None]
    with bounded.http(bounded.foreign) as http:
        assert run_batch(http, asking(OWN, FOREIGN)) == [None, None]


def test_what_the_settings_let_anybody_import_is_bounded_too(tmp_path: Path) -> None:
    with running_server(tmp_path, import_allow=("s3://good/*",)) as server:
        tenants = Tenants(server)
        with tenants.http(tenants.admin) as http:
            http.patch(f"/v1/projects/{tenants.alpha}", json={"allow": ["s3://good/alpha/*"]})
        with tenants.http(tenants.writer) as http:
            statuses = [
                http.post("/v1/files/import", json={"url": url, "purpose": "batch"}).status_code
                for url in (OWN, FOREIGN)
            ]
        assert statuses == [200, 400]


def test_only_operators_bound_projects_and_only_by_globs_that_can_fit(bounded: Tenants) -> None:
    path = f"/v1/projects/{bounded.alpha}"
    with bounded.http(bounded.mine) as http:
        assert code_of(http.patch(path, json={"allow": None})) == (403, "insufficient_scope")
        assert http.get(path).json()["allow"] == ["s3://good/alpha/*"]
    with bounded.http(bounded.admin) as http:
        for wrong in ("vision/*", "", "//x", "s3:"):
            assert http.patch(path, json={"allow": [wrong]}).status_code == 400, wrong
        assert http.patch(path, json={"limits": {"max_live_batches": 7}}).json()["allow"] == [
            "s3://good/alpha/*"
        ]
        made = http.post("/v1/projects", json={"name": "closed", "allow": []}).json()
        assert made["allow"] == []
        assert http.patch(f"/v1/projects/{made['id']}", json={"allow": None}).json()["allow"] is None


def test_results_are_copied_within_the_bounds_only(bounded: Tenants) -> None:
    with bounded.http(bounded.writer) as http:
        refused = http.post("/v1/jobs", json={"output": "s3://good/beta/results"})
        assert code_of(refused) == (400, "output_not_allowed")
        assert "what this project may reach" in refused.json()["error"]["message"]
        job = http.post("/v1/jobs", json={"model": "moved", "output": "s3://good/alpha/results"}).json()
        body = {
            "input_file_id": upload(http, asking(OWN)),
            "endpoint": CHAT,
            "completion_window": "24h",
            "job_id": job["id"],
        }
        with bounded.http(bounded.admin) as operator:
            operator.patch(f"/v1/projects/{bounded.alpha}", json={"allow": ["s3://good/other/*"]})
            late = http.post("/v1/batches", json=body)
            operator.patch(f"/v1/projects/{bounded.alpha}", json={"allow": ["s3://good/alpha/*"]})
        assert code_of(late) == (400, "output_not_allowed")


def test_results_of_who_borrows_a_job_stay_with_them_unless_it_says_otherwise(bounded: Tenants) -> None:
    copied = []
    with bounded.http(bounded.mine) as owner, bounded.http(bounded.foreign) as guest:
        for collects in (False, True):
            job = {"model": f"lent-{collects}", "output": "s3://good/alpha/out", "output_of_others": collects}
            made = owner.post("/v1/jobs", json={**job, "shared_with": [bounded.beta]}).json()
            assert made["output_of_others"] is collects
            assert guest.get(f"/v1/jobs/{made['id']}").json()["output"] == (
                job["output"] if collects else None
            )
            for http in (owner, guest):
                body = {
                    "input_file_id": upload(http, line(0, model=made["model"]).encode()),
                    "endpoint": CHAT,
                    "completion_window": "24h",
                    "job_id": made["id"],
                }
                batch = ended(http, http.post("/v1/batches", json=body).json()["id"])
                copied.append(copies_of(bounded, batch["id"]))
    assert copied == [["s3://good/alpha/out"], [], ["s3://good/alpha/out"], ["s3://good/alpha/out"]]


def copies_of(tenants: Tenants, batch_id: str) -> list[str]:
    async def work(store: Store) -> list[str]:
        return [errand.target for errand in await store.errands.of_batch(batch_id) if errand.kind == "copy"]

    return on_store(tenants.server.settings, work)


def test_a_folder_that_is_none_is_said_so(bounded: Tenants) -> None:
    with bounded.http(bounded.writer) as http:
        for output in ("", "x", "file:///etc", "https://a.test/x", "s3://"):
            refused = http.post("/v1/jobs", json={"output": output})
            assert code_of(refused) == (400, "output_not_allowed"), output
            assert json.dumps(output)[1:-1] in refused.json()["error"]["message"]
            assert "s3://bucket/prefix" in refused.json()["error"]["message"]
