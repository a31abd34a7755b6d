"""SIGKILL of the whole server in the middle of a batch: nothing is lost, nothing is doubled, nothing journalled is paid for twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import openai
import pytest
from tests.fakes.engine import engine_process
from tests.system.serving import serving

from pronk.journal import decode_part

LINES = 5000


@contextmanager
def server(folder: Path, engine_url: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run ``pronk serve`` with one worker; give the process, leader of a group of its own, and its URL."""
    arguments = ("--engine", engine_url, "--workers", "1", "--log-format", "json")
    with serving(folder, *arguments) as running:
        yield running


def test_sigkill_of_everything_loses_and_doubles_nothing(tmp_path: Path) -> None:
    record = tmp_path / "asked.txt"
    arguments = ("--record", str(record), "--marker", r"line-\d+")
    with engine_process(*arguments) as engine:
        with server(tmp_path, engine.url) as (process, url):
            client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
            batch_id = _start_batch(client)
            _wait_until(client, batch_id, lambda done: done > LINES // 10)
            _kill_tree(process.pid)
        asked_before = Counter(record.read_text().split())
        journalled = _journalled(tmp_path / "data")
        with server(tmp_path, engine.url) as (_, url):
            client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
            _wait_until(client, batch_id, lambda done: done == LINES)
            batch = _wait_until_ended(client, batch_id)
            output = client.files.content(batch.output_file_id or "").text
        asked = Counter(record.read_text().split())
    ids = [msgspec.json.decode(line)["custom_id"] for line in output.splitlines()]
    assert ids == [f"line-{number}" for number in range(1, LINES + 1)]
    assert batch.error_file_id is None
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (LINES, 0)
    assert 0 < len(journalled) < LINES
    again = {line for line in journalled if asked[line] > asked_before[line]}
    assert again == set(), f"{len(again)} journalled lines were sent to the engine again"
    assert set(asked) == {f"line-{number}" for number in range(1, LINES + 1)}


def _start_batch(client: openai.OpenAI) -> str:
    lines = [
        {
            "custom_id": f"line-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "delay-0.01", "messages": [{"role": "user", "content": f"line-{number}"}]},
        }
        for number in range(1, LINES + 1)
    ]
    data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    file = client.files.create(file=("input.jsonl", data), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="unlimited",  # type: ignore[arg-type]
    )
    return batch.id


def _wait_until(client: openai.OpenAI, batch_id: str, holds: object) -> None:
    while True:
        batch = client.batches.retrieve(batch_id)
        assert batch.status not in {"failed", "cancelled", "expired"}, batch
        if batch.request_counts and holds(batch.request_counts.completed):  # type: ignore[operator]
            return
        time.sleep(0.02)


def _wait_until_ended(client: openai.OpenAI, batch_id: str) -> openai.types.Batch:
    while (batch := client.batches.retrieve(batch_id)).status != "completed":
        time.sleep(0.02)
    return batch


def _kill_tree(pid: int) -> None:
    """Kill a process and its children at once; the children go first, so that none sees the parent's end."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for child in [*map(int, children), pid]:
        os.kill(child, signal.SIGKILL)


def _journalled(data: Path) -> set[str]:
    """Return the custom_ids of every line that lies in a whole part."""
    found = set()
    for part in (data / "blobs" / "journals").rglob("*.jsonl"):
        for _, line in decode_part(part.read_bytes()):
            found.add(msgspec.json.decode(line)["custom_id"])
    return found


pytestmark = pytest.mark.timeout(110)
