"""Another version of the program beside this one, on one database and one storage, each as API and as worker.

``make test-mixed OLD=REVISION`` (or a wheel) puts the other one into ``.old``; see scripts/old-version.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import openai
import pytest
from tests.fakes.engine import engine_process
from tests.store.cluster import Cluster

ROOT = Path(__file__).parents[2]
VERSIONS = {"old": ROOT / ".old/src", "new": ROOT / "src"}
BATCHES = 5
LINES = 600
FAULTS = ("Traceback", "round failed", "request_broke", '"level":"error"')

pytestmark = [pytest.mark.mixed, pytest.mark.timeout(600)]


class Place:
    """Where both versions run: their settings, and what they log."""

    def __init__(self, folder: Path, database: str, engine: str) -> None:
        self.folder = folder
        self._environment = {
            "PRONK_DATA_DIR": str(folder / "data"),
            "PRONK_DATABASE": database,
            "PRONK_STORAGE": f"file://{folder}/blobs",
            "PRONK_ENGINE": engine,
            "PRONK_FLUSH_SECONDS": "0.1",
            "PRONK_LOG_FORMAT": "json",
        }

    @contextmanager
    def running(self, version: str, *command: str) -> Iterator[Path]:
        """Run a version; give its log. It ends with the block."""
        told = self.folder / f"{version}-{command[0]}.log"
        words = [sys.executable, "-m", "pronk", *command]
        environment = {**os.environ, **self._environment, "PYTHONPATH": str(VERSIONS[version])}
        with told.open("wb") as sink:
            process = subprocess.Popen(words, stderr=sink, cwd=self.folder, env=environment)
        try:
            yield told
        finally:
            process.terminate()
            assert process.wait(30) == 0, told.read_text()

    def faults(self) -> list[str]:
        """Return the lines of all logs that tell of a fault."""
        lines = [line for told in self.folder.glob("*.log") for line in told.read_text().splitlines()]
        return [line for line in lines if any(fault in line for fault in FAULTS)]

    def writers(self) -> set[str]:
        """Return the workers that have written the parts that are there now."""
        return {path.stem.rpartition("-")[2] for path in (self.folder / "blobs/journals").rglob("*.jsonl")}


def _url(told: Path) -> str:
    while True:
        for line in told.read_text().splitlines():
            if '"event":"listening"' in line:
                return str(msgspec.json.decode(line)["url"])
        time.sleep(0.02)


def _run_batches(place: Place, url: str) -> set[str]:
    """Run batches; return the workers that had a part in them."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    writers: set[str] = set()
    for _ in range(BATCHES):
        lines = [
            {
                "custom_id": f"line-{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": "delay-0.02", "messages": [{"role": "user", "content": f"line-{number}"}]},
            }
            for number in range(1, LINES + 1)
        ]
        data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        file = client.files.create(file=("in.jsonl", data), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="unlimited",  # type: ignore[arg-type]
        )
        while batch.status not in {"completed", "failed", "expired", "cancelled"}:
            writers |= place.writers()
            time.sleep(0.02)
            batch = client.batches.retrieve(batch.id)
        text = client.files.content(batch.output_file_id or "").text
        found = [msgspec.json.decode(line)["custom_id"] for line in text.splitlines()]
        assert found == [f"line-{number}" for number in range(1, LINES + 1)]
    return writers


@pytest.mark.parametrize("api", ["old", "new"])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_two_versions_work_on_one_database(api: str, kind: str, tmp_path: Path, cluster: Cluster) -> None:
    """The one that serves comes first, so that each has made the schema once and met it once."""
    assert VERSIONS["old"].is_dir(), "there is no other version; run scripts/old-version REVISION"
    other = "new" if api == "old" else "old"
    url = cluster.make_schema() if kind == "postgres" else f"sqlite://{tmp_path}/pronk.db"
    with engine_process() as engine:
        place = Place(tmp_path, url, engine.url)
        with (
            place.running(api, "serve", "--port", "0", "--workers", "1") as told,
            place.running(other, "worker"),
        ):
            writers = _run_batches(place, _url(told))
    assert place.faults() == []
    assert len(writers) == 2
