"""Servers and clients for the conformance suite."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI
from tests.conformance.server import JOBS, Server, running_server
from tests.conformance.tenants import Tenants

from pronk.domain.ids import JobId
from pronk.domain.job import Job

CHAT: Final = "/v1/chat/completions"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose batches run."""
    with running_server(tmp_path_factory.mktemp("working"), has_worker=True) as running:
        yield running


@pytest.fixture(scope="session")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without workers: its batches stay ``validating``."""
    with running_server(tmp_path_factory.mktemp("idle"), max_file_bytes=3_000_000) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as opened:
        yield opened


@pytest.fixture(scope="session")
def idle_client(idle: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{idle.url}/v1", api_key="unused", max_retries=0) as opened:
        yield opened


@pytest.fixture
async def async_client(server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as opened:
        yield opened


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx2.Client]:
    """Plain HTTP to the server whose batches run."""
    with httpx2.Client(base_url=server.url, timeout=20) as opened:
        yield opened


@pytest.fixture(scope="session")
def idle_http(idle: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=idle.url, timeout=20) as opened:
        yield opened


@pytest.fixture(scope="session")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """A server that asks for keys, with two projects; the job `job-of-beta` is for neither of them."""
    hidden = JobId("job-of-beta")
    jobs = {**JOBS, hidden: Job(id=hidden, shared_with=("proj_nobody",))}
    with running_server(
        tmp_path_factory.mktemp("keyed"), has_worker=True, jobs=jobs, trusted_proxies=("127.0.0.1",)
    ) as server:
        made = Tenants(server)
        with made.one:
            yield made


def line(number: int, *, model: str = "m", content: Any = "hello", **body: Any) -> str:
    """Return a request line."""
    whole = {"model": model, "messages": [{"role": "user", "content": content}], **body}
    return json.dumps({"custom_id": f"r{number}", "method": "POST", "url": CHAT, "body": whole}) + "\n"


def lines(count: int, **more: Any) -> bytes:
    return "".join(line(number, **more) for number in range(1, count + 1)).encode()


@pytest.fixture
def upload(client: OpenAI) -> Callable[[bytes], str]:
    """Upload a batch file and return its id."""
    return lambda data: client.files.create(file=("input.jsonl", data), purpose="batch").id
