"""The Python client, both coats, against a whole server; and runs in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from openai import OpenAI
from tests.conformance.conftest import lines
from tests.conformance.server import Server, running_server
from tests.fakes.engine import engine_process

import pronk
from pronk.domain.errors import ApiError, InvalidRequestError, SettingsError, UnavailableError

BODIES = [{"model": "m", "messages": [{"role": "user", "content": text}]} for text in ("one", "two")]
BAD = {"model": "status-400", "messages": [{"role": "user", "content": "x"}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server"), has_worker=True) as running:
        yield running


def test_the_whole_round_with_requests_of_this_process(server: Server, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    with pronk.Client(server.url) as client:
        assert client.check([*BODIES, BAD])["requests"] == 3
        batch = client.create([*BODIES, BAD], metadata={"run": "1"})
        ended = client.wait(batch["id"], progress=seen.append, seconds=0.01)
        assert (ended["status"], ended["request_counts"]["failed"]) == ("completed", 1)
        assert seen[-1] == ended
        assert [line["custom_id"] for line in client.results(batch["id"])] == ["1", "2", "3"]
        assert [line["custom_id"] for line in client.results(batch["id"], status="failed")] == ["3"]
        assert client.export(batch["id"], tmp_path / "t.parquet") == 3
        again = client.retry(batch["id"], metadata={"run": "2"})
        assert client.wait(again["id"], seconds=0.01)["request_counts"]["total"] == 1
        assert client.clone(batch["id"])["input_file_id"] == batch["input_file_id"]
        with OpenAI(base_url=client.base_url, api_key="x") as sdk:
            assert sdk.batches.retrieve(batch["id"]).status == "completed"


def test_files_jobs_and_errors(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRONK_URL", server.url)
    (tmp_path / "in.jsonl").write_bytes(lines(1500))
    with pronk.Client() as client:
        batch = client.create(tmp_path / "in.jsonl", completion_window="24h")
        client.wait(batch["id"], seconds=0.01)
        assert len(list(client.results(batch["id"]))) == 1500
        same = client.create(batch["input_file_id"])
        with pytest.raises(SettingsError, match="wait for its end"):
            client.export(client.create([{**BAD, "model": "delay-5"}])["id"], tmp_path / "t.csv")
        client.cancel(same["id"]) if client.get(same["id"])["status"] != "completed" else None
        job = client.create_job(model="other", id="job-client")
        assert client.update_job(job["id"], priority=2)["priority"] == 2
        assert "job-client" in [each["id"] for each in client.jobs()]
        assert client.delete_job(job["id"])["deleted"] is True
        with pytest.raises(ApiError) as caught:
            client.get("batch_none")
        assert (caught.value.status_code, caught.value.code) == (404, "not_found")
    with pronk.Client("http://127.0.0.1:1") as nobody, pytest.raises(UnavailableError):
        nobody.jobs()


def test_the_asynchronous_coat(server: Server, tmp_path: Path) -> None:
    async def round_trip() -> None:
        async with pronk.AsyncClient(server.url) as client:
            batch = await client.create([*BODIES, BAD])
            ended = await client.wait(batch["id"], seconds=0.01)
            assert ended["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
            assert [line["custom_id"] async for line in client.results(batch["id"])] == ["1", "2", "3"]
            assert await client.export(batch["id"], tmp_path / "t.csv") == 3
            assert (await client.retry(batch["id"]))["id"] != batch["id"]
            assert (await client.check(BODIES))["ok"]
            assert [job["id"] for job in await client.jobs()]
            with pytest.raises(ApiError) as caught:
                await client.cancel(batch["id"])
            assert caught.value.status_code == 409

    anyio.run(round_trip)


def test_a_run_in_this_process_gives_rows() -> None:
    with engine_process() as engine:
        rows = pronk.run([*BODIES, BAD], engine=engine.url)
        assert [(row["custom_id"], row["ok"], row["prompt"]) for row in rows] == [
            ("1", True, "one"),
            ("2", True, "two"),
            ("3", False, "x"),
        ]
        assert rows[0]["answer"]
        assert rows[2]["status_code"] == 400
        with pytest.raises(InvalidRequestError, match="request 2"):
            pronk.run([{"custom_id": "a", "body": BAD}, {"custom_id": "a", "body": BAD}], engine=engine.url)
