"""What a bundled engine does to others when something goes wrong, and how it starts and stops."""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.system.bundled_engine import (
    FOLDER,
    LONG,
    PATIENCE_SECONDS,
    SMALL_BLOCKS,
    Running,
    engine,
    health,
    question,
    schema_format,
)


@pytest.fixture(scope="module")
def small() -> Iterator[Running]:
    """An engine with room for eight short requests at a time, whose answers do not depend on their neighbours."""
    with engine("--kv-blocks", str(SMALL_BLOCKS), "--precision", "f32") as started:
        yield started


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_two_hundred_at_once_in_a_small_cache(small: Running) -> None:
    colors = ["red", "blue", "green", "yellow"]
    async with small.patient as client:
        alone = [await client.chat.completions.create(**question(color)) for color in colors]
        bodies = [question(colors[index % 4]) for index in range(200)]
        answers = await asyncio.gather(*(client.chat.completions.create(**body) for body in bodies))
    expected = [answer.choices[0].message.content for answer in alone] * 50
    assert [answer.choices[0].message.content for answer in answers] == expected
    assert small.metric("vllm:num_requests_running") == small.metric("vllm:num_requests_waiting") == 0


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_frees_its_place(small: Running, stream: bool) -> None:  # noqa: FBT001
    before = small.metric("vllm:request_success")
    async with small.patient as client:
        body: Any = {**question(), **LONG, "stream": stream}
        long = asyncio.create_task(client.chat.completions.create(**body))
        await asyncio.to_thread(small.until, lambda: small.metric("vllm:num_requests_running") == 1)
        if stream:
            chunks: Any = await long
            await anext(aiter(chunks))
            await chunks.response.aclose()
        long.cancel()
        await client.chat.completions.create(**{**question(), **LONG})
    await asyncio.to_thread(small.until, lambda: small.metric("vllm:num_requests_running") == 0)
    assert small.metric("vllm:request_success") == before + 1


@pytest.mark.anyio
async def test_a_killed_process_is_replaced_and_nobody_notices(small: Running) -> None:
    [child] = small.children()
    restarts = small.metric("pronk_engine:restarts")
    async with small.patient as client:
        expected = (await client.chat.completions.create(**question())).choices[0].message.content
        tasks = [asyncio.create_task(client.chat.completions.create(**question())) for _ in range(100)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        os.kill(child, signal.SIGKILL)
        answers = await asyncio.gather(*tasks)
    assert {answer.choices[0].message.content for answer in answers} == {expected}
    assert small.metric("pronk_engine:restarts") == restarts + 1


@pytest.mark.anyio
async def test_a_stream_goes_on_after_a_crash(small: Running) -> None:
    body = {**question(), **LONG, "max_tokens": 300}
    async with small.patient as client:
        whole = await client.chat.completions.create(**body)
        stream = await client.chat.completions.create(**body, stream=True)
        events = aiter(stream)
        text = "".join([(await anext(events)).choices[0].delta.content or "" for _ in range(1)])
        os.kill(small.children()[0], signal.SIGKILL)
        async for chunk in events:
            text += chunk.choices[0].delta.content or ""
    assert text == whole.choices[0].message.content


@pytest.mark.anyio
async def test_what_dies_twice_is_answered_503(small: Running) -> None:
    async with small.patient as client:
        long = asyncio.create_task(client.chat.completions.create(**{**question(), **LONG}))
        for _ in range(2):
            await asyncio.to_thread(small.until, lambda: health(small) == "ok" and small.children() != [])
            await asyncio.to_thread(small.until, lambda: small.metric("vllm:num_requests_running") == 1)
            os.kill(small.children()[0], signal.SIGKILL)
            await asyncio.to_thread(small.until, lambda: health(small) == "restarting")
        with pytest.raises(openai.InternalServerError) as caught:
            await long
        assert (caught.value.status_code, caught.value.response.headers["retry-after"]) == (503, "1")
        assert (await client.chat.completions.create(**question())).choices


@pytest.mark.anyio
async def test_a_bad_schema_hurts_nobody(small: Running) -> None:
    bad: list[dict[str, Any]] = [
        {"type": "nonsense"},
        {"enum": []},
        {"$ref": "#/$defs/none"},
        {"type": "string", "pattern": "(?=x)["},
    ]
    restarts = small.metric("pronk_engine:restarts")
    async with small.patient as client:
        good = [client.chat.completions.create(**question()) for _ in range(30)]
        refused = [
            client.chat.completions.create(**question(response_format=schema_format(one))) for one in bad
        ]
        outcomes = await asyncio.gather(*good, *refused, return_exceptions=True)
    assert not any(isinstance(outcome, BaseException) for outcome in outcomes[:30])
    assert [type(outcome).__name__ for outcome in outcomes[30:]] == ["BadRequestError"] * len(bad)
    assert small.metric("pronk_engine:restarts") == restarts


def test_stopping_finishes_what_runs() -> None:
    with engine() as started:
        stream = started.client.chat.completions.create(
            **{**question(), **LONG, "max_tokens": 200}, stream=True
        )
        chunks = [next(stream)]
        started.process.send_signal(signal.SIGTERM)
        chunks += list(stream)
        assert chunks[-1].choices[0].finish_reason == "length"
        assert started.process.wait(PATIENCE_SECONDS) == 0


def test_no_process_outlives_a_killed_server() -> None:
    with engine() as started:
        [child] = started.children()
        child_file = os.pidfd_open(child)
        try:
            started.process.kill()
            started.process.wait()
            assert select.select([child_file], [], [], PATIENCE_SECONDS)[0] == [child_file]
        finally:
            os.close(child_file)


def test_a_folder_without_a_model_is_said_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pronk.engines.bundled", "--model", str(tmp_path), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert "no model in OpenVINO form" in ended.stderr


def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "pronk.engines.bundled", "--model", str(FOLDER), "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"
