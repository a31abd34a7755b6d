"""Limits of projects, and how guessing keys is slowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import RateLimitError
from tests.conformance.conftest import CHAT, lines
from tests.conformance.server import running_server
from tests.conformance.tenants import Tenants, make_key, make_project

from pronk.api.guesses import FREE
from pronk.domain.ids import ProjectId
from pronk.domain.key import new_secret


def limited(tenants: Tenants, name: str, **limits: int) -> tuple[ProjectId, str]:
    project = make_project(tenants.server, name, **limits)
    return project, make_key(tenants.server, project=project)


def test_requests_a_minute_are_limited_and_said(tenants: Tenants) -> None:
    _, key = limited(tenants, "hasty", max_requests_per_minute=3)
    with tenants.openai(key) as client:
        told = [client.models.with_raw_response.list().headers for _ in range(3)]
        with pytest.raises(RateLimitError) as refused:
            client.models.list()
    assert [headers["x-ratelimit-remaining-requests"] for headers in told] == ["2", "1", "0"]
    assert {headers["x-ratelimit-limit-requests"] for headers in told} == {"3"}
    assert refused.value.code == "rate_limit_exceeded"
    assert 1 <= int(refused.value.response.headers["retry-after"]) <= 20
    assert refused.value.response.headers["x-ratelimit-reset-requests"]


def test_uploads_and_stored_bytes_are_limited(tenants: Tenants) -> None:
    _, key = limited(tenants, "hoarder", max_uploads_per_minute=3, max_stored_bytes=10_000)
    with tenants.openai(key) as client:

        def store(size: int) -> str:
            return client.files.create(file=("a.bin", b"x" * size), purpose="vision").id

        first = store(6_000)
        blobs = tenants.server.blobs()
        with pytest.raises(RateLimitError) as full:
            store(4_001)
        assert full.value.code == "stored_bytes_exceeded"
        assert full.value.response.headers["x-should-retry"] == "false"
        assert tenants.server.blobs() == blobs
        client.files.delete(first)
        store(10_000)
        with pytest.raises(RateLimitError) as fast:
            store(1)
        assert fast.value.code == "rate_limit_exceeded"


def test_live_batches_and_tokens_are_limited(tenants: Tenants) -> None:
    project, key = limited(tenants, "thrifty", max_tokens_per_day=60)
    with tenants.openai(key) as client:

        def asked() -> Any:
            return client.chat.completions.with_raw_response.create(
                model="m", messages=[{"role": "user", "content": "hello"}]
            )

        first = asked()
        used = json.loads(first.content)["usage"]["total_tokens"]
        assert first.headers["x-ratelimit-remaining-tokens"] == "60"
        assert asked().headers["x-ratelimit-remaining-tokens"] == str(60 - used)
        list(
            client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hello"}], stream=True
            )
        )
        with pytest.raises(RateLimitError) as refused:
            [asked() for _ in range(50)]
        assert refused.value.code == "tokens_per_day_exceeded"
        file = client.files.create(file=("input.jsonl", lines(1)), purpose="batch")
        with pytest.raises(RateLimitError):
            client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    with tenants.http(tenants.admin) as http:
        path = f"/v1/projects/{project}"
        assert http.get(path).json()["use"]["tokens_today"] >= 60
        changed = http.patch(path, json={"limits": {"max_tokens_per_day": 0, "max_live_batches": 7}}).json()
        assert (changed["limits"]["max_tokens_per_day"], changed["limits"]["max_live_batches"]) == (0, 7)
        assert http.patch(path, json={"limits": {"max_live_batches": None}}).json()["limits"] == {
            **dict.fromkeys(changed["limits"]),
            "max_tokens_per_day": 0,
        }
    with tenants.openai(key) as client:
        client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")


def test_guessing_is_slowed_and_neighbours_are_not(tmp_path: Path) -> None:
    with (
        running_server(tmp_path, trusted_proxies=("127.0.0.1",)) as server,
        httpx2.Client(base_url=server.url) as http,
    ):
        right, other = make_key(server), make_key(server)

        def ask(key: str, address: str) -> httpx2.Response:
            return http.get(
                "/v1/files", headers={"authorization": f"Bearer {key}", "x-forwarded-for": address}
            )

        assert ask(right, "203.0.113.1").status_code == 200
        assert [ask(new_secret(), "203.0.113.1").status_code for _ in range(FREE)] == [401] * FREE
        slowed = ask(new_secret(), "203.0.113.1")
        assert (slowed.status_code, slowed.json()["error"]["code"]) == (429, "too_many_wrong_keys")
        assert slowed.headers["retry-after"] == "1"
        assert ask(other, "203.0.113.1").status_code == 429
        assert ask(right, "203.0.113.1").status_code == 200
        assert ask(other, "203.0.113.2").status_code == 200
        server.late += 1
        assert ask(other, "203.0.113.1").status_code == 200
        assert ask(new_secret(), "203.0.113.1").status_code == 401
        server.late += 1
        assert ask(new_secret(), "203.0.113.1").status_code == 429


def test_addresses_that_strangers_claim_are_not_believed(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, httpx2.Client(base_url=server.url) as http:
        make_key(server)
        codes = [
            http.get(
                "/v1/files",
                headers={"authorization": f"Bearer {new_secret()}", "x-forwarded-for": f"203.0.113.{number}"},
            ).status_code
            for number in range(FREE + 1)
        ]
        assert codes == [401] * FREE + [429]
