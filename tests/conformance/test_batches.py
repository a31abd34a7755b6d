"""Batches through the official SDK."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import Batch
from tests.conformance.conftest import CHAT, line, lines
from tests.conformance.server import Server

Upload = Callable[[bytes], str]
TERMINAL = {"completed", "failed", "expired", "cancelled"}


def create(client: OpenAI, file_id: str, **more: Any) -> Batch:
    given = {"endpoint": CHAT, "completion_window": "24h", **more}
    return client.batches.create(input_file_id=file_id, **given)


def until_ended(client: OpenAI, batch: Batch) -> Batch:
    """Look again and again; the test's time limit ends what never happens."""
    while batch.status not in TERMINAL:
        batch = client.batches.retrieve(batch.id)
    return batch


def read(client: OpenAI, file_id: str | None) -> list[Any]:
    assert file_id is not None
    return [json.loads(text) for text in client.files.content(file_id).text.splitlines()]


def test_a_new_batch_has_every_field(idle_client: OpenAI, idle_http: httpx2.Client) -> None:
    file = idle_client.files.create(file=("a", lines(1)), purpose="batch").id
    made = create(
        idle_client,
        file,
        completion_window="90m",
        metadata={"run": "42", "naïve": ""},
        extra_body={"job_id": "job-default", "unknown": {"is": "ignored"}},
    )
    raw = idle_http.get(f"/v1/batches/{made.id}").json()
    times = ("in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at")
    assert raw == {
        "id": made.id,
        "object": "batch",
        "endpoint": CHAT,
        "model": None,
        "errors": None,
        "input_file_id": file,
        "completion_window": "90m",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": made.created_at,
        "expires_at": made.created_at + 90 * 60,
        **dict.fromkeys(times),
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        },
        "metadata": {"run": "42", "naïve": ""},
        "job_id": "job-default",
        "processing_cost": None,
    }
    assert made.model_dump()["job_id"] == "job-default"


@pytest.mark.parametrize(
    ("window", "seconds"),
    [
        ("unlimited", None),
        ("24h", 86_400),
        ("1m", 60),
        ("7d", 604_800),
        ("30d", 2_592_000),
        ("43200m", 2_592_000),
    ],
)
def test_windows(idle_client: OpenAI, window: Any, seconds: int | None) -> None:
    file = idle_client.files.create(file=("a", lines(1)), purpose="batch").id
    batch = create(idle_client, file, completion_window=window)
    assert batch.completion_window == window
    assert batch.expires_at == (None if seconds is None else batch.created_at + seconds)


def test_a_whole_run(client: OpenAI, upload: Upload) -> None:
    input_file = upload(lines(40) + line(41, model="m", content="s3://bad/x").encode())
    batch = until_ended(client, create(client, input_file, completion_window="unlimited"))
    assert (batch.status, batch.model, batch.expires_at) == ("completed", "m", None)
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": 41, "completed": 40, "failed": 1}
    assert batch.usage is not None
    assert batch.usage.total_tokens == batch.usage.input_tokens + batch.usage.output_tokens > 0
    output, errors = read(client, batch.output_file_id), read(client, batch.error_file_id)
    assert [entry["custom_id"] for entry in output] == [f"r{number}" for number in range(1, 41)]
    assert {entry["response"]["status_code"] for entry in output} == {200}
    assert errors[0]["error"]["code"] == "image_not_found"
    for file_id in (batch.output_file_id, batch.error_file_id):
        assert client.files.retrieve(file_id or "").purpose == "batch_output"
    client.files.delete(input_file)


@pytest.mark.anyio
async def test_a_whole_run_async(async_client: AsyncOpenAI) -> None:
    file = await async_client.files.create(file=("a", lines(3)), purpose="batch")
    batch = await async_client.batches.create(
        input_file_id=file.id, endpoint=CHAT, completion_window="24h", metadata={"a": "b"}
    )
    with anyio.fail_after(20):
        while batch.status != "completed":
            batch = await async_client.batches.retrieve(batch.id)
    assert batch.output_file_id is not None
    assert len((await async_client.files.content(batch.output_file_id)).text.splitlines()) == 3
    assert batch.id in [found.id async for found in async_client.batches.list(limit=1)]


def test_wrong_lines_fail_the_batch_later(client: OpenAI, upload: Upload) -> None:
    batch = create(client, upload(b"{}\nnonsense\n" + lines(1)), extra_body={"job_id": "job-default"})
    ended = until_ended(client, batch)
    assert ended.status == "failed"
    assert ended.failed_at is not None
    assert ended.errors is not None
    assert ended.errors.object == "list"
    assert {(error.code, error.line) for error in ended.errors.data or ()} >= {
        ("missing_required_parameter", 1),
        ("invalid_json_line", 2),
    }


def test_price_window_and_defaults_come_from_the_job(
    client: OpenAI, upload: Upload, http: httpx2.Client
) -> None:
    file = upload(lines(2, model="priced"))
    made = client.batches.create(input_file_id=file, endpoint=CHAT, completion_window=openai.omit)  # type: ignore[arg-type]
    assert made.completion_window == "48h"
    batch = until_ended(client, made)
    assert batch.model_dump()["job_id"] == "job-priced"
    usage = batch.usage
    assert usage is not None
    assert batch.model_dump()["processing_cost"] == pytest.approx(
        (usage.input_tokens + 2 * usage.output_tokens) / 1e6
    )
    assert client.batches.retrieve(batch.id).model_dump()["processing_cost"] > 0
    assert [found["id"] for found in http.get("/v1/batches?job_id=job-priced").json()["data"]] == [batch.id]


def test_the_job_is_chosen_by_the_model_of_the_first_line(idle_client: OpenAI) -> None:
    def job_of(data: bytes) -> str:
        file = idle_client.files.create(file=("a", data), purpose="batch").id
        return str(create(idle_client, file).model_dump()["job_id"])

    assert job_of(lines(1, model="cold")) == "job-cold"
    assert job_of(lines(1, model="other")) == "job-default"
    assert job_of(b"\xef\xbb\xbf\r\n\n  " + lines(1, model="cold", content="x" * 200_000)) == "job-cold"
    assert job_of(b"") == "job-default"
    assert job_of(b"[" * 100_000) == "job-default"


def test_cancel(idle_client: OpenAI) -> None:
    file = idle_client.files.create(file=("a", lines(1)), purpose="batch").id
    batch = create(idle_client, file)
    for _ in range(2):
        cancelled = idle_client.batches.cancel(batch.id)
        assert cancelled.status == "cancelling"
        assert cancelled.cancelling_at is not None


def test_cancel_of_what_has_ended(client: OpenAI, upload: Upload) -> None:
    batch = until_ended(client, create(client, upload(lines(1))))
    with pytest.raises(openai.ConflictError, match="completed") as refused:
        client.batches.cancel(batch.id)
    assert refused.value.code == "batch_ended"
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_cancel_keeps_what_was_finished(
    client: OpenAI, upload: Upload, http: httpx2.Client, server: Server
) -> None:
    batch = create(client, upload(lines(5) + b"".join(line(n, model="hold").encode() for n in range(6, 9))))
    results: list[Any] = []
    while len(results) < 5:
        results = http.get(f"/v1/batches/{batch.id}/results").json()["data"]
    assert [entry["custom_id"] for entry in results] == ["r1", "r2", "r3", "r4", "r5"]
    client.batches.cancel(batch.id)
    ended = until_ended(client, batch)
    assert ended.status == "cancelled"
    assert len(read(client, ended.output_file_id)) == 5
    assert [entry["error"]["code"] for entry in read(client, ended.error_file_id)] == ["batch_cancelled"] * 3


def test_idempotency(idle_client: OpenAI) -> None:
    file = idle_client.files.create(file=("a", lines(1)), purpose="batch").id
    key = {"Idempotency-Key": f"key-{file}"}
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: create(idle_client, file, extra_headers=key).id, range(8)))
    assert len(set(made)) == 1
    with pytest.raises(openai.ConflictError) as refused:
        create(idle_client, file, extra_headers=key, metadata={"other": "body"})
    assert refused.value.code == "idempotency_conflict"
    assert create(idle_client, file).id not in made


def test_idempotency_outlives_the_file(client: OpenAI, upload: Callable[[bytes], str]) -> None:
    file = upload(lines(1))
    key = {"Idempotency-Key": f"key-{file}"}
    batch = until_ended(client, create(client, file, extra_headers=key))
    client.files.delete(file)
    assert create(client, file, extra_headers=key) == batch
    with pytest.raises(openai.ConflictError):
        create(client, file, extra_headers=key, metadata={"other": "body"})
    with pytest.raises(openai.NotFoundError):
        create(client, file)


@pytest.fixture(scope="module")
def many(idle: Server) -> Iterator[tuple[OpenAI, list[str]]]:
    with OpenAI(base_url=f"{idle.url}/v1", api_key="unused", max_retries=0) as client:
        file = client.files.create(file=("a", lines(1)), purpose="batch").id
        httpx2.post(f"{idle.url}/v1/jobs", json={"id": "job-many"})
        yield client, [create(client, file, extra_body={"job_id": "job-many"}).id for _ in range(250)]


def test_auto_paging(many: tuple[OpenAI, list[str]], idle_http: httpx2.Client) -> None:
    client, ids = many
    found = [batch.id for batch in client.batches.list(limit=100)]
    assert set(ids) <= set(found)
    assert found == sorted(found, reverse=True)
    assert [batch.id for batch in client.batches.list(limit=7, extra_query={"job_id": "job-many"})] == sorted(
        ids, reverse=True
    )
    assert len(client.batches.list().data) == 20
    page = idle_http.get("/v1/batches", params={"limit": 2, "job_id": "job-many"}).json()
    assert (page["first_id"], page["last_id"], page["has_more"]) == (max(ids), sorted(ids)[-2], True)
    none = idle_http.get("/v1/batches", params={"status": "completed"}).json()
    assert (none["data"], none["has_more"], none["last_id"]) == ([], False, None)


def test_a_batch_looks_the_same_alone_and_in_a_list(
    many: tuple[OpenAI, list[str]], idle_http: httpx2.Client
) -> None:
    _, ids = many
    alone = idle_http.get(f"/v1/batches/{max(ids)}")
    listed = idle_http.get("/v1/batches", params={"limit": 1, "job_id": "job-many"})
    assert alone.text in listed.text
    assert alone.headers["content-type"] == listed.headers["content-type"]
    assert idle_http.head(f"/v1/batches/{max(ids)}").status_code == 405


def test_results_by_page(client: OpenAI, upload: Upload, http: httpx2.Client) -> None:
    bad = {3, 7, 8, 300, 900}
    data = "".join(line(n, content="s3://bad/x" if n in bad else "y" * 200) for n in range(1, 1001))
    batch = until_ended(client, create(client, upload(data.encode())))
    url = f"/v1/batches/{batch.id}/results"

    def pages(**query: Any) -> list[str]:
        found: list[str] = []
        after: dict[str, str] = {}
        while True:
            page = http.get(url, params={**query, **after}).json()
            found += [entry["custom_id"] for entry in page["data"]]
            if not page["has_more"]:
                return found
            after = {"after": page["last_id"]}

    assert pages(limit=37) == [f"r{n}" for n in range(1, 1001)]
    assert pages(limit=2, status="failed") == [f"r{n}" for n in sorted(bad)]
    assert pages(limit=1000, status="ok") == [f"r{n}" for n in range(1, 1001) if n not in bad]
    assert http.get(url, params={"after": "998"}).json()["data"][0]["custom_id"] == "r999"
    assert http.get(url, params={"after": "1000"}).json()["data"] == []
    whole = read(client, batch.output_file_id)
    assert http.get(url, params={"status": "ok", "limit": 1}).json()["data"][0] == whole[0]
