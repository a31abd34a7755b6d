"""Both databases for tests: whoever asks for `opener` runs once on each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.store.cluster import Cluster, is_installed, running_cluster

from pronk.store.database import Database
from pronk.store.opening import open_database

Opener = Callable[[], Database]

MEMORY = Path("/dev/shm")  # noqa: S108  # not a name to be guessed


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A Postgres server for the run."""
    if not is_installed():
        pytest.skip("Postgres is not installed: initdb and pg_ctl are not on the PATH")
    folder = Path(tempfile.mkdtemp(prefix="pronk-postgres-"))
    try:
        with running_cluster(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Name a database of the test's own, still empty. Files lie in memory where that can be."""
    if request.param == "sqlite":
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            yield f"sqlite://{folder}/pronk.db"
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    url = cluster.make_schema()
    yield url
    cluster.drop_schema(url)


@pytest.fixture
def opener(database_url: str) -> Opener:
    """Open the test's database, as often as the test likes; each opening is like another process."""
    return partial(open_database, database_url)
