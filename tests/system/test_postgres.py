"""``pronk serve`` on Postgres and S3, with workers of its own, by the official SDK; its workers are killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import openai
import pytest
from tests.chaos.storage import s3_storage
from tests.fakes.engine import engine_process
from tests.store.cluster import Cluster
from tests.system.serving import serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(110)]

LINES = 300


def _workers(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _run_with_deaths(url: str, process: subprocess.Popen[bytes]) -> tuple[openai.types.Batch, str, float]:
    """Run a batch whose workers are killed twice; return it, its output, and how long the longest take-over was."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    batch_id = _start(client)
    longest = 0.0
    for done in (LINES // 6, LINES // 2):
        _wait(client, batch_id, done)
        os.kill(_workers(process.pid)[0], signal.SIGKILL)
        killed_at, before = time.monotonic(), _count(client, batch_id)
        _wait(client, batch_id, before + LINES // 10)
        longest = max(longest, time.monotonic() - killed_at)
    while (batch := client.batches.retrieve(batch_id)).status != "completed":
        assert batch.status in {"in_progress", "finalizing"}, batch
        time.sleep(0.05)
    return batch, client.files.content(batch.output_file_id or "").text, longest


def _count(client: openai.OpenAI, batch_id: str) -> int:
    counts = client.batches.retrieve(batch_id).request_counts
    return counts.completed if counts else 0


def _wait(client: openai.OpenAI, batch_id: str, done: int) -> None:
    while _count(client, batch_id) < min(done, LINES):
        time.sleep(0.02)


def _start(client: openai.OpenAI) -> str:
    lines = [
        {
            "custom_id": f"line-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "delay-0.05", "messages": [{"role": "user", "content": f"line-{number}"}]},
        }
        for number in range(1, LINES + 1)
    ]
    data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    file = client.files.create(file=("input.jsonl", data), purpose="batch")
    return client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="unlimited",  # type: ignore[arg-type]
    ).id


async def test_the_whole_server_on_postgres_and_s3(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "asked.txt"
    async with s3_storage(monkeypatch) as storage:
        with engine_process("--record", str(record), "--marker", r"line-\d+") as engine:
            arguments = ["--engine", engine.url, "--workers", "2", "--log-format", "json"]
            arguments += ["--database", cluster.make_schema(), "--storage", storage, "--flush-seconds", "0.1"]

            def run() -> tuple[openai.types.Batch, str, float]:
                with serving(tmp_path, *arguments) as (process, url):
                    return _run_with_deaths(url, process)

            batch, output, longest = await anyio.to_thread.run_sync(run)
    ids = [msgspec.json.decode(line)["custom_id"] for line in output.splitlines()]
    assert ids == [f"line-{number}" for number in range(1, LINES + 1)]
    assert (batch.error_file_id, batch.request_counts and batch.request_counts.completed) == (None, LINES)
    assert set(Counter(record.read_text().split())) == set(ids)
    assert longest < 20, "what a dead worker held was not handed over at once"
