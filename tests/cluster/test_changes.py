"""A Ray cluster that grows with the backlog, changes its settings while a batch runs, and shrinks again."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from tests.cluster.commands import pronk, serving, status
from tests.cluster.nodes import Nodes
from tests.store.cluster import Cluster

pytestmark = [pytest.mark.ray, pytest.mark.timeout(270)]

LINES = 4000
SETTINGS = """
on_cluster = true
database = "{database}"
storage = "file://{folder}/blobs"
data_dir = "{folder}/data"
cluster_max_workers = 2
cluster_worker_shards = 5
cluster_replica_shards = 5
cluster_calm_seconds = 1

[engines.near]
launch = "env MEDIA={{media_dir}} {python} -m tests.fakes.engine --host {{host}} --port {{port}} --outlive"
max_in_flight = 16

[engines.far]
launch = "{python} -m tests.fakes.engine --host {{host}} --port {{port}} --outlive {more}"
max_replicas = 2
max_in_flight = 16

[jobs.near]
engine = "near"
[jobs.far]
engine = "far"
"""


def start(client: openai.OpenAI, job: str) -> str:
    body = {"model": "delay-0.02", "messages": [{"role": "user", "content": "x"}]}
    line = {"method": "POST", "url": "/v1/chat/completions", "body": body}
    lines = [msgspec.json.encode({"custom_id": f"r-{number}", **line}) for number in range(LINES)]
    file = client.files.create(file=("input.jsonl", b"\n".join(lines)), purpose="batch")
    return client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="unlimited",  # type: ignore[arg-type]
        extra_body={"job_id": f"job-{job}"},
    ).id


def ended(client: openai.OpenAI, batch_id: str) -> list[str]:
    """Wait for a batch; return the custom_ids of its output."""
    while (batch := client.batches.retrieve(batch_id)).status != "completed":
        assert batch.status in {"validating", "in_progress", "finalizing"}, batch
        time.sleep(0.1)
    output = client.files.content(batch.output_file_id or "").text
    return [json.loads(line)["custom_id"] for line in output.splitlines()]


def until(nodes: Nodes, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until what is ready is as it should be; return it by name."""
    while True:
        ready = {row["name"]: row for row in status(nodes)["actors"] if row["state"] == "ready"}
        if holds(ready):
            return ready
        time.sleep(0.5)


def test_a_cluster_grows_changes_and_shrinks(tmp_path: Path, nodes: Nodes, cluster: Cluster) -> None:
    config = tmp_path / "pronk.toml"
    values = {"database": cluster.make_schema(), "folder": tmp_path, "python": sys.executable}
    config.write_text(SETTINGS.format(**values, more=""))
    up = ("cluster", "up", "--config", str(config), "--address", nodes.address)
    pronk(*up)
    few = {"engine/far/0", "engine/near/0", "worker/0"}
    most = few | {"engine/far/1", "worker/1"}
    first = until(nodes, lambda ready: set(ready) == few)
    assert first["engine/near/0"]["url"].startswith("http://127.0.0.1:"), "its worker is beside it"
    with serving(tmp_path, config) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
        batches = [start(client, job) for job in ("near", "far")]
        before = until(nodes, lambda ready: set(ready) == most)
        config.write_text(SETTINGS.format(**values, more="--api-key ''"))
        pronk(*up)
        found = [ended(client, batch_id) for batch_id in batches]
        after = until(
            nodes,
            lambda ready: set(ready) == few and ready["engine/far/0"]["url"] != before["engine/far/0"]["url"],
        )
    assert found == [[f"r-{number}" for number in range(LINES)]] * 2
    assert after["engine/near/0"]["url"] == before["engine/near/0"]["url"], "nothing of it was changed"
    pronk("cluster", "down", "--address", nodes.address)
