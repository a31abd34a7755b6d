"""Jobs over HTTP, and the models they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from tests.conformance.conftest import CHAT, lines
from tests.conformance.server import Server, running_server
from tests.fakes.engine import Behaviour

from pronk.domain.ids import JobId
from pronk.domain.job import Job

NEW = {"model": "Org/Model-1", "defaults": {"temperature": 0.10, "big": 1}, "use_case": "sorting"}


def error(answer: httpx2.Response) -> tuple[int, str, str | None]:
    found = answer.json()["error"]
    return answer.status_code, found["code"], found["param"]


def test_the_round_of_a_job(http: httpx2.Client) -> None:
    body = b'{"model":"round","defaults":{"temperature":0.1000,"seed":1e400},"price":{"input_per_1m":1}}'
    made = http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    job = made.json()
    assert made.status_code == 200
    assert b'"defaults":{"temperature":0.1000,"seed":1e400}' in made.content
    assert (job["object"], job["source"], job["engine"], job["priority"]) == ("job", "api", "default", 0)
    assert job["price"] == {"input_per_1m": 1.0, "output_per_1m": 0.0, "cached_input_per_1m": None}
    url = f"/v1/jobs/{job['id']}"
    assert http.get(url).content == made.content
    changed = http.patch(url, json={"priority": 5, "price": None, "media": {"allow": ["s3://a/*"]}}).json()
    assert (changed["priority"], changed["price"], changed["model"]) == (5, None, "round")
    assert changed["media"]["allow"] == ["s3://a/*"]
    assert http.get(url).json()["priority"] == 5
    assert http.patch(url, json={"defaults": {}}).json()["defaults"] == {}
    assert http.delete(url).json() == {"id": job["id"], "object": "job", "deleted": True}
    for call in (http.get, http.delete):
        assert error(call(url)) == (404, "job_not_found", "job_id")
    assert error(http.patch(url, json={})) == (404, "job_not_found", "job_id")


def test_an_id_of_ones_own(http: httpx2.Client) -> None:
    assert http.post("/v1/jobs", json={"id": "job-mine", **NEW}).json()["id"] == "job-mine"
    assert error(http.post("/v1/jobs", json={"id": "job-mine"})) == (409, "job_exists", "id")
    assert error(http.post("/v1/jobs", json={"id": "job-default"})) == (409, "job_exists", "id")
    http.delete("/v1/jobs/job-mine")


def test_jobs_of_the_settings_are_read_only(http: httpx2.Client) -> None:
    job = http.get("/v1/jobs/job-priced").json()
    assert (job["source"], job["created_at"], job["completion_window"]) == ("settings", None, "48h")
    assert error(http.patch("/v1/jobs/job-priced", json={"priority": 1})) == (409, "job_read_only", "job_id")
    assert error(http.delete("/v1/jobs/job-priced")) == (409, "job_read_only", "job_id")


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"modle": "x"}, "modle", "unknown_parameter"),
        ({"completion_window": "soon"}, "completion_window", "invalid_value"),
        ({"completion_window": ""}, "completion_window", "invalid_value"),
        ({"priority": 1.5}, "priority", "invalid_type"),
        ({"id": "sort"}, "id", "invalid_value"),
        ({"id": "job-a b"}, "id", "invalid_value"),
        ({"priority": "high"}, "priority", "invalid_type"),
        ({"priority": True}, "priority", "invalid_type"),
        ({"price": {"input_per_1m": -1}}, "price.input_per_1m", "invalid_value"),
        ({"price": {"input": 1}}, "price.input", "unknown_parameter"),
        ({"media": {"max_bytes": 0}}, "media.max_bytes", "invalid_value"),
        ({"media": {"deliver": "post"}}, "media.deliver", "invalid_value"),
        ({"media": None}, "media", "invalid_type"),
        ({"defaults": [1]}, "defaults", "invalid_type"),
        ({"defaults": None}, "defaults", "invalid_type"),
        ({"model": ""}, "model", "invalid_value"),
    ],
)
def test_what_no_job_can_be(http: httpx2.Client, body: dict[str, Any], param: str, code: str) -> None:
    assert error(http.post("/v1/jobs", json=body)) == (400, code, param)


def test_an_engine_that_there_is_not(http: httpx2.Client) -> None:
    assert error(http.post("/v1/jobs", json={"engine": "nowhere"})) == (404, "not_found", "engine")


def test_paging(idle_http: httpx2.Client) -> None:
    made = {idle_http.post("/v1/jobs", json={"use_case": str(n)}).json()["id"] for n in range(5)}
    found: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = idle_http.get("/v1/jobs", params={"limit": 2, **after}).json()
        found += [job["id"] for job in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["last_id"]}
    found = [job_id for job_id in found if job_id != "job-many"]
    assert found[:3] == ["job-default", "job-priced", "job-cold"]
    assert set(found[3:]) == made
    assert len(found) == 8
    for job_id in made:
        idle_http.delete(f"/v1/jobs/{job_id}")


def test_a_job_in_use_stays_and_its_change_does_not_reach_the_batch(
    idle_client: OpenAI, idle_http: httpx2.Client
) -> None:
    job = idle_http.post("/v1/jobs", json={"model": "used", "price": {"input_per_1m": 1}}).json()["id"]
    file = idle_client.files.create(file=("a", lines(1, model="used")), purpose="batch").id
    batch = idle_client.batches.create(
        input_file_id=file, endpoint=CHAT, completion_window="24h", extra_body={"job_id": job}
    )
    assert error(idle_http.delete(f"/v1/jobs/{job}")) == (409, "job_in_use", "job_id")
    idle_http.patch(f"/v1/jobs/{job}", json={"model": "changed", "price": None})
    after = idle_client.batches.retrieve(batch.id)
    assert (after.model, after.model_dump()["processing_cost"]) == ("used", 0.0)


def test_models(client: OpenAI, http: httpx2.Client) -> None:
    made = http.post("/v1/jobs", json=NEW).json()
    models = {model.id: model for model in client.models.list()}
    assert {"priced", "cold", "Org/Model-1"} <= set(models)
    assert models["Org/Model-1"].created == made["created_at"]
    one = client.models.retrieve("Org/Model-1")
    assert (one.object, one.owned_by) == ("model", "pronk")
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("nothing/like/it")
    assert refused.value.code == "model_not_found"
    http.delete(f"/v1/jobs/{made['id']}")


def test_models_of_the_engine(tmp_path: Path) -> None:
    any_model = Job(id=JobId("job-any"))
    with (
        running_server(tmp_path, jobs={any_model.id: any_model}) as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        server.engine.models |= {"Org/Model-2": Behaviour(), "Org/Model-1": Behaviour()}
        assert [model.id for model in client.models.list()] == ["Org/Model-1", "Org/Model-2"]
        assert client.models.retrieve("Org/Model-1").owned_by == "pronk"
        server.engine.models["another"] = Behaviour()
        assert len(client.models.list().data) == 2
        assert server.engine.probes.count("/v1/models") == 1


@pytest.mark.anyio
async def test_models_async(async_client: AsyncOpenAI) -> None:
    assert "cold" in [model.id async for model in async_client.models.list()]
    assert (await async_client.models.retrieve("cold")).id == "cold"


def test_the_job_of_a_batch_can_be_made_over_http(
    server: Server, client: OpenAI, http: httpx2.Client
) -> None:
    job = http.post("/v1/jobs", json={"model": "fresh"}).json()["id"]
    file = client.files.create(file=("a", lines(1, model="fresh")), purpose="batch").id
    batch = client.batches.create(input_file_id=file, endpoint=CHAT, completion_window="24h")
    assert batch.model_dump()["job_id"] == job
