"""A server with pages, and a batch that holds everything hostile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from tests.console.browser import open_browser
from tests.console.hostile import hostile_lines
from tests.console.server import CHAT, ConsoleServer, as_file, console_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleServer]:
    with console_server(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """While it is there its library's event loop runs in this thread, so no other module's tests could have one."""
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def http(server: ConsoleServer) -> Iterator[httpx2.Client]:
    """A browser as far as headers go."""
    with httpx2.Client(base_url=server.url, timeout=30, headers={"accept": "text/html"}) as client:
        yield client


@pytest.fixture(scope="session")
def hostile(server: ConsoleServer, http: httpx2.Client) -> str:
    """A finished batch whose every text is hostile."""
    return run_batch(server.url, http, hostile_lines(), name='<img src=x onerror="boom()">.jsonl')


def run_batch(
    url: str, http: httpx2.Client, lines: list[dict[str, Any]], name: str = "in.jsonl", **more: Any
) -> str:
    """Run a batch to its end and wait until its lines are read; return its id."""
    with OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        file = client.files.create(file=(name, as_file(lines)), purpose="batch")
        metadata = more.pop("metadata", {"<script>alert(1)</script>": "\"'><svg onload=boom()>"})
        made = client.batches.create(
            input_file_id=file.id,
            endpoint=CHAT,
            completion_window="unlimited",  # type: ignore[arg-type]
            metadata=metadata,
        )
    wait_for(lambda: http.get(f"/v1/batches/{made.id}").json()["status"] == "completed")
    wait_for(lambda: http.get(f"/batches/{made.id}/rows?n=0").headers["x-whole"] == "1")
    return made.id


def wait_for(holds: Any, seconds: float = 120) -> None:
    """Ask a server in another thread again and again; a test's time limit is what ends what never happens."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)


def token_of(http: httpx2.Client) -> str:
    """Return the token that the pages of this client carry."""
    return str(http.get("/").text.split('name="csrf" content="')[1].split('"')[0])
