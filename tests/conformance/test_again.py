"""A batch once more: its failed lines, or all of them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from tests.conformance.conftest import line, lines
from tests.conformance.server import running_server
from tests.conformance.test_batches import create, read, until_ended

from pronk.api.again import _ran_nothing
from pronk.domain.batch import Batch, BatchStatus
from pronk.domain.errors import InvalidRequestError
from pronk.domain.ids import DEFAULT_PROJECT, BatchId, FileId
from pronk.domain.job import DEFAULT_JOB, Job

Upload = Callable[[bytes], str]
MIXED = line(1) + "\n" + line(2, model="status-422") + line(3, model="status-400") + line(4)


def again(http: httpx2.Client, batch_id: str, deed: str = "retry", **body: Any) -> httpx2.Response:
    return http.post(f"/v1/batches/{batch_id}/{deed}", json=body)


def test_only_the_failed_lines_run_again(client: OpenAI, http: httpx2.Client, upload: Upload) -> None:
    made = create(client, upload(MIXED.encode()), metadata={"run": "1"}, completion_window="7d")
    first = until_ended(client, made)
    assert first.request_counts is not None
    assert (first.request_counts.total, first.request_counts.failed) == (4, 2)
    retried = again(http, first.id).json()
    wanted = {"endpoint": first.endpoint, "completion_window": "7d", "metadata": {"run": "1"}}
    assert {name: retried[name] for name in wanted} == wanted
    assert retried["id"] != first.id
    file = client.files.retrieve(retried["input_file_id"])
    assert (file.filename, file.purpose) == ("input.retry.jsonl", "batch")
    assert client.files.content(file.id).text == line(2, model="status-422") + line(3, model="status-400")
    second = until_ended(client, client.batches.retrieve(retried["id"]))
    assert [each["custom_id"] for each in read(client, second.error_file_id)] == ["r2", "r3"]
    third = again(http, second.id).json()
    assert client.files.retrieve(third["input_file_id"]).filename == "input.retry.jsonl"


def test_a_retry_may_change_window_job_and_metadata(
    client: OpenAI, http: httpx2.Client, upload: Upload
) -> None:
    first = until_ended(client, create(client, upload(line(1, model="status-400").encode())))
    changes: dict[str, Any] = {"completion_window": "90m", "job_id": "job-cold", "metadata": {"try": "2"}}
    retried = again(http, first.id, **changes).json()
    assert {name: retried[name] for name in changes} == changes
    cleared = again(http, first.id, metadata=None).json()
    assert (cleared["metadata"], cleared["job_id"]) == (None, "job-default")


def test_lines_that_were_cancelled_run_again(
    idle_client: OpenAI, idle_http: httpx2.Client, client: OpenAI, http: httpx2.Client, upload: Upload
) -> None:
    """One is cancelled before anything was read: then its own file is the one to run. The other one while it runs."""
    file = idle_client.files.create(file=("a.jsonl", lines(3)), purpose="batch").id
    early = create(idle_client, file)
    assert again(idle_http, early.id).status_code == 409
    running = create(client, upload(lines(40, model="delay-0.3")))
    refused = again(http, running.id)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "batch_not_ended")
    client.batches.cancel(running.id)
    ended = until_ended(client, client.batches.retrieve(running.id))
    retried = again(http, ended.id).json()
    whole = client.files.content(retried["input_file_id"]).text.splitlines()
    counts = ended.request_counts
    assert counts is not None
    assert len(whole) == (counts.failed or 40)
    client.batches.cancel(retried["id"])


def test_nothing_to_retry_is_said(client: OpenAI, http: httpx2.Client, upload: Upload) -> None:
    good = until_ended(client, create(client, upload(lines(2))))
    bad = until_ended(client, create(client, upload(b"no json\n")))
    for batch, word in ((good, "no failed line"), (bad, "failed validation")):
        refused = again(http, batch.id)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (400, "nothing_to_retry")
        assert word in error["message"]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"completion_window": "3w"}, (400, "invalid_value")),
        ({"job_id": "job-none"}, (404, "job_not_found")),
        ({"metadata": {"a": 1}}, (400, "invalid_type")),
    ],
)
def test_wrong_changes_are_refused_and_leave_nothing(
    client: OpenAI, http: httpx2.Client, upload: Upload, body: dict[str, Any], wanted: tuple[int, str]
) -> None:
    batch = until_ended(client, create(client, upload(line(1, model="status-400").encode())))
    before = len(client.files.list().data)
    for deed in ("retry", "clone"):
        refused = again(http, batch.id, deed, **body)
        assert (refused.status_code, refused.json()["error"]["code"]) == wanted, refused.text
    assert len(client.files.list().data) == before


def test_files_that_are_gone_are_named(client: OpenAI, http: httpx2.Client, upload: Upload) -> None:
    batch = until_ended(client, create(client, upload(line(1, model="status-400").encode())))
    client.files.delete(str(batch.error_file_id))
    assert again(http, batch.id).json()["error"]["code"] == "error_file_gone"
    client.files.delete(batch.input_file_id)
    for deed in ("retry", "clone"):
        refused = again(http, batch.id, deed)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "input_file_gone")


def test_files_that_changed_in_storage_are_not_run_again(tmp_path: Path) -> None:
    with (
        running_server(tmp_path, has_worker=True) as server,
        httpx2.Client(base_url=server.url) as http,
        OpenAI(base_url=f"{server.url}/v1", api_key="none") as client,
    ):
        file = client.files.create(file=("a.jsonl", MIXED.encode()), purpose="batch").id
        batch = until_ended(client, create(client, file))
        for name in (batch.error_file_id, batch.input_file_id):
            path = server.blobs_folder / "files" / str(name)
            whole, before = path.read_bytes(), server.blobs()
            path.write_bytes(
                whole.replace(b"r4", b"r5").replace(b"no such", b"so much").replace(b"422", b"423")
            )
            assert path.read_bytes() != whole
            refused = again(http, batch.id)
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "input_damaged")
            assert server.blobs() == before
            path.write_bytes(whole)
        made = again(http, batch.id).json()["input_file_id"]
        data = (server.blobs_folder / "files" / made).read_bytes()
        (row,) = rows(tmp_path, made)
    assert row == (len(data), hashlib.sha256(data).hexdigest())


def rows(folder: Path, file_id: str) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(folder / "pronk.db")) as database:
        return database.execute("SELECT bytes, sha256 FROM file WHERE id = ?", (file_id,)).fetchall()


def test_a_clone_runs_the_same_file(client: OpenAI, http: httpx2.Client, upload: Upload) -> None:
    batch = until_ended(client, create(client, upload(MIXED.encode())))
    answer = http.post(f"/v1/batches/{batch.id}/clone")
    assert answer.json()["input_file_id"] == batch.input_file_id
    ended = until_ended(client, client.batches.retrieve(answer.json()["id"]))
    assert ended.request_counts == batch.request_counts


def test_the_same_key_gives_the_same_retry(client: OpenAI, http: httpx2.Client, upload: Upload) -> None:
    batch = until_ended(client, create(client, upload(line(1, model="status-400").encode())))
    key = {"Idempotency-Key": f"again-{batch.id}"}
    path = f"/v1/batches/{batch.id}/retry"
    first = http.post(path, headers=key).json()
    before = len(client.files.list().data)
    assert http.post(path, headers=key).json()["id"] == first["id"]
    assert len(client.files.list().data) == before
    other = http.post(path, headers=key, content=json.dumps({"completion_window": "7d"}))
    assert other.json()["error"]["code"] == "idempotency_conflict"


def test_unknown_batches_are_not_found(http: httpx2.Client) -> None:
    for deed in ("retry", "clone"):
        assert again(http, "batch_none", deed).status_code == 404


def test_a_batch_that_lost_its_input_is_told_from_one_that_failed_validation() -> None:
    batch = Batch(
        id=BatchId("batch_1"), project_id=DEFAULT_PROJECT, status=BatchStatus.FAILED, endpoint="/v1/embeddings",
        input_file_id=FileId("file-1"), completion_window="24h", job=Job(id=DEFAULT_JOB), created_at=1, in_progress_at=2,
    )  # fmt: skip
    with pytest.raises(InvalidRequestError, match="lost or damaged in storage"):
        _ran_nothing(batch)
