"""A Ray cluster of three nodes on this machine: a batch survives the loss of one with workers and an engine replica on it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import openai
import pytest
from tests.cluster.commands import pronk, serving, until_ready
from tests.cluster.nodes import Nodes
from tests.store.cluster import Cluster
from tests.system.test_kill import _start_batch, _wait_until, _wait_until_ended

pytestmark = [pytest.mark.ray, pytest.mark.timeout(270)]

LINES = 5000
SETTINGS = """
on_cluster = true
database = "{database}"
storage = "file://{folder}/blobs"
lease_seconds = 8
cluster_min_workers = 2
cluster_max_workers = 2
cluster_calm_seconds = 1

[engines.default]
launch = "{python} -m tests.fakes.engine --host {{host}} --port {{port}} --outlive --record {record} --marker line-[0-9]+"
replicas = 2
max_in_flight = 16
"""


def test_a_batch_survives_the_loss_of_a_node(tmp_path: Path, nodes: Nodes, cluster: Cluster) -> None:
    record = tmp_path / "asked.txt"
    config = tmp_path / "pronk.toml"
    config.write_text(
        SETTINGS.format(database=cluster.make_schema(), folder=tmp_path, python=sys.executable, record=record)
        + ""
    )
    address = ("--address", nodes.address)
    pronk("cluster", "up", "--config", str(config), *address)
    before = until_ready(nodes, 4)
    doomed = next(
        node
        for node in set(before.values()) - {nodes.head}
        if {name.partition("/")[0] for name, where in before.items() if where == node} == {"engine", "worker"}
    )
    with serving(tmp_path, config) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
        batch_id = _start_batch(client)
        _wait_until(client, batch_id, lambda done: done > LINES // 10)
        nodes.kill(doomed)
        done_then = client.batches.retrieve(batch_id).request_counts
        assert done_then is not None
        assert done_then.completed < LINES
        after = until_ready(nodes, 4, but=frozenset({doomed}))
        batch = _wait_until_ended(client, batch_id)
        output = client.files.content(batch.output_file_id or "").text
    pronk("cluster", "down", *address)
    ids = [json.loads(line)["custom_id"] for line in output.splitlines()]
    assert ids == [f"line-{number}" for number in range(1, LINES + 1)]
    assert batch.error_file_id is None
    assert sorted(before) == sorted(after) == ["engine/default/0", "engine/default/1", "worker/0", "worker/1"]
    asked = Counter(record.read_text().split())
    assert set(asked) == set(ids)
    print(f"asked again: {sum(asked.values()) - LINES}")  # noqa: T201
