"""Requests that are answered at once."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx2
import msgspec
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from tests.conformance.conftest import CHAT, lines
from tests.conformance.server import ENGINE, IN_FLIGHT, Server, running_server

JSON = {"Content-Type": "application/json"}
MESSAGES: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]


def last_body(server: Server) -> bytes:
    return server.engine.requests[-1].body


def test_every_endpoint(client: OpenAI) -> None:
    assert client.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content == "hello"
    assert client.completions.create(model="m", prompt="once").choices[0].text
    assert client.embeddings.create(model="m", input=["a", "b"], encoding_format="float").data
    assert client.responses.create(model="m", input="hello").output


@pytest.mark.anyio
async def test_async_and_streamed(async_client: AsyncOpenAI) -> None:
    answer = await async_client.chat.completions.create(model="m", messages=MESSAGES)
    assert answer.choices[0].message.content == "hello"
    stream = await async_client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    assert (
        "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]) == "hello"
    )


def test_streamed(client: OpenAI, http: httpx2.Client) -> None:
    with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "hello"
    body = {"model": "m", "messages": MESSAGES, "stream": True}
    with http.stream("POST", CHAT, json=body) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream")
        assert raw.read().rstrip().endswith(b"data: [DONE]")


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[],"n":1e400,"t":0.1000,"a":{"b":"\\u0041"},"a":1}',
        b' {\n"model" : "m" , "messages":[ ] , "x":[1,2.50,-0,1E2] }\r\n',
        '{"model":"m","messages":[],"ü":"\\ud83d\\ude00 é"}'.encode(),
    ],
)
def test_a_body_reaches_the_engine_byte_for_byte(server: Server, http: httpx2.Client, body: bytes) -> None:
    assert http.post(CHAT, content=body, headers=JSON).status_code == 200
    assert last_body(server) == body


def test_defaults_of_the_job(server: Server, http: httpx2.Client) -> None:
    http.post(CHAT, content=b'{"model":"cold","messages":[]}', headers=JSON)
    assert last_body(server) == b'{"model":"cold","messages":[],"temperature":0.10}'
    http.post(CHAT, content=b'{"model":"cold","messages":[],"temperature":null}', headers=JSON)
    assert last_body(server) == b'{"model":"cold","messages":[],"temperature":null}'


def test_references(server: Server, client: OpenAI) -> None:
    def ask(url: str) -> None:
        part = {"type": "image_url", "image_url": {"url": url}}
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": [part]}])  # type: ignore[misc,list-item]

    ask("s3://good/a.png")
    assert b'"data:image/png;base64,a.png"' in last_body(server)
    with pytest.raises(openai.BadRequestError) as refused:
        ask("s3://bad/a.png")
    assert refused.value.code == "image_not_found"
    assert refused.value.param == "messages[0].content[0].image_url.url"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_the_engines_own_errors_pass(client: OpenAI, status: int, kind: type[openai.APIStatusError]) -> None:
    for stream in (False, True):
        with pytest.raises(kind, match=f"scripted {status}") as refused:
            client.chat.completions.create(model=f"status-{status}", messages=MESSAGES, stream=stream)
        assert refused.value.status_code == status


def test_an_engine_that_goes_away(client: OpenAI, http: httpx2.Client) -> None:
    with pytest.raises(openai.InternalServerError) as refused:
        client.chat.completions.create(model="cut", messages=MESSAGES)
    assert (refused.value.status_code, refused.value.code) == (503, "engine_unavailable")


def test_an_answer_that_is_none(http: httpx2.Client) -> None:
    answer = http.post(CHAT, json={"model": "garbage", "messages": []})
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "engine_error"
    assert "<html>" in answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_is_not_worked_for(
    server: Server, http: httpx2.Client, *, stream: bool
) -> None:
    before = server.engine.aborted
    body = json.dumps({"model": "hold", "messages": [], "stream": stream}).encode()
    host, port = server.url.removeprefix("http://").split(":")
    asked = server.engine.request_count
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(
            b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (CHAT.encode(), len(body))
            + body
        )
        while server.engine.request_count == asked:
            assert http.get("/health").status_code == 200
    looks = (http.get("/health").status_code for _ in range(2000))
    assert any(status == 200 and server.engine.aborted == before + 1 for status in looks)


def test_what_the_engine_can_do_is_told_to_who_resolves(tmp_path: Path) -> None:
    part = {"type": "image_url", "image_url": {"url": "s3://good/a.png"}}
    body = {"model": "m", "messages": [{"role": "user", "content": [part]}]}
    able = msgspec.structs.replace(ENGINE, kind="vllm", reads_files=True)
    with running_server(tmp_path, engines={"default": able}) as server:
        for stream in (False, True):
            assert httpx2.post(f"{server.url}{CHAT}", json={**body, "stream": stream}).status_code == 200
        assert server.media.asked == [(True, True)] * 2


def test_a_batch_that_fills_the_engine_leaves_room(tmp_path: Path) -> None:
    with (
        running_server(tmp_path, has_worker=True) as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        server.engine.slots = IN_FLIGHT
        file = client.files.create(file=("holds.jsonl", lines(100, model="hold")), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
        while len(server.engine.held) < IN_FLIGHT - 2:
            assert client.batches.retrieve(batch.id).status in {"validating", "in_progress"}
        for stream in (False, True):
            client.with_options(timeout=120).chat.completions.create(
                model="m", messages=MESSAGES, stream=stream
            )
        counts = client.batches.retrieve(batch.id).request_counts
        assert counts is not None
        assert counts.completed == 0
        assert (server.engine.refused, server.engine.high_water) == (0, IN_FLIGHT - 1)
        client.batches.cancel(batch.id)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"[]", 400, "invalid_type"),
        (b'"text"', 400, "invalid_type"),
        (b'{"model":', 400, "invalid_json"),
        (b'{"model":1}', 400, "invalid_type"),
        (b'{"model":"m","stream":"yes"}', 400, "invalid_type"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b'{"a":' * 100_000, 400, "invalid_json"),
    ],
)
def test_wrong_bodies(http: httpx2.Client, body: bytes, status: int, code: str) -> None:
    answer = http.post(CHAT, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_body_over_the_limit(http: httpx2.Client, server: Server) -> None:
    answer = http.post(CHAT, content=b" " * (server.settings.max_line_bytes + 1), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
