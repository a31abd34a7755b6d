"""Ray nodes on this machine, by Ray's own test cluster; a node is lost as by a power cut."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Nodes:
    """A running cluster. Nodes go by Ray's ids."""

    def __init__(self, cluster: Any, nodes: list[Any]) -> None:
        self._cluster = cluster
        self._nodes = {node.node_id: node for node in nodes}
        self.address = str(cluster.address)
        self.head = str(cluster.head_node.node_id)

    def kill(self, node_id: str) -> None:
        """End every process of a node at once: Ray's, the actors, and what these started."""
        node = self._nodes[node_id]
        (raylet,) = node.all_processes["raylet"]
        for pid in [raylet.process.pid, *_below(raylet.process.pid)]:
            _kill(pid)
        self._cluster.remove_node(node, allow_graceful=False)


@contextmanager
def running_nodes(count: int, *, cpus: int) -> Iterator[Nodes]:
    """Run so many nodes of so many CPUs each; the first one is the head."""
    from ray.cluster_utils import Cluster  # installed for these tests alone

    size = {"num_cpus": cpus, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    try:
        yield Nodes(cluster, [cluster.head_node, *(cluster.add_node(**size) for _ in range(count - 1))])
    finally:
        cluster.shutdown()


def _below(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they did."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *_below(child)]
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
