"""Three Ray nodes for the run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cluster.nodes import Nodes, running_nodes


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with running_nodes(3, cpus=2) as running:
        yield running
