"""The fake engine tells the truth: its answers parse, its counts count, its misbehaviour is what was asked for."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import anyio
import msgspec
import openai
import pytest
from tests.fakes.engine import Behaviour, engine_process, fake_engine
from tests.fakes.engine_answers import describe

pytestmark = pytest.mark.anyio


def _chat(model: str, text: str) -> bytes:
    return msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": text}]})


async def test_the_official_sdk_understands_every_endpoint() -> None:
    async with fake_engine() as engine, openai.AsyncOpenAI(base_url=engine.url, api_key="k") as client:
        picture = "data:image/png;base64,AAAA"
        parts = [{"type": "text", "text": "what is"}, {"type": "image_url", "image_url": {"url": picture}}]
        chat = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])  # type: ignore[list-item,misc]
        assert chat.choices[0].message.content == f"what is {describe(picture)}"
        assert chat.usage is not None
        assert chat.usage.total_tokens == chat.usage.prompt_tokens + chat.usage.completion_tokens
        completion = await client.completions.create(model="m", prompt="once upon")
        assert completion.choices[0].text == "once upon"
        response = await client.responses.create(model="m", input="hello there")
        assert response.output_text == "hello there"
        embedding = await client.embeddings.create(model="m", input=["a", "b"], encoding_format="float")
        assert [len(item.embedding) for item in embedding.data] == [4, 4]
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "one two"}], stream=True
        )
        assert [chunk.choices[0].delta.content async for chunk in stream] == ["one ", "two"]
        assert [model.id async for model in client.models.list()] == ["fake"]


async def test_a_held_request_counts_in_flight_and_a_leaving_client_as_aborted() -> None:
    async with fake_engine() as engine, aiohttp.ClientSession() as session:
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                async with session.post(engine.url + "/chat/completions", data=_chat("hold", "x")):
                    pass

            tasks.start_soon(ask)
            tasks.start_soon(ask)
            await engine.until(lambda e: e.in_flight == 2)
            tasks.cancel_scope.cancel()
        await engine.until(lambda e: e.aborted == 2)
        assert engine.stats()["high_water"] == 2
        assert engine.in_flight == 0


async def test_script_comes_before_models_and_names() -> None:
    async with fake_engine() as engine, aiohttp.ClientSession() as session:
        engine.script.append(Behaviour(status=429, retry_after=1.5))
        engine.models["m"] = Behaviour(garbage=True)
        seen = []
        for model in ("m", "m", "status-404", "other"):
            async with session.post(engine.url + "/completions", data=_chat(model, "x")) as response:
                seen.append(
                    (response.status, response.headers.get("retry-after"), (await response.read())[:1])
                )
        assert seen == [(429, "1.5", b"{"), (200, None, b"<"), (404, None, b"{"), (200, None, b"{")]
        assert [request.path for request in engine.requests] == ["/v1/completions"] * 4


async def test_a_body_in_small_pieces_and_two_requests_in_one_piece() -> None:
    async with fake_engine() as engine:
        host, port = "127.0.0.1", int(engine.url.split(":")[2].split("/")[0])
        body = _chat("m", "hi")
        request = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        async with await anyio.connect_tcp(host, port) as stream:
            for byte in request:
                await stream.send(bytes([byte]))
            await stream.send(request + request)
            await engine.until(lambda e: e.request_count == 3)
        assert [seen.body for seen in engine.requests] == [body] * 3


async def test_it_goes_down_and_comes_back_on_its_port() -> None:
    async with fake_engine() as engine, aiohttp.ClientSession() as session:
        url = engine.url
        await engine.go_down()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url + "/models")
        await engine.come_back()
        async with session.get(url + "/models") as response:
            assert response.status == 200


async def test_as_a_process_it_records_markers_and_obeys(tmp_path: Path) -> None:
    record = tmp_path / "sent"
    with engine_process("--record", str(record), "--marker", "line-[0-9]+") as engine:
        engine.control(models={"m": {"status": 418}})
        async with aiohttp.ClientSession() as session:
            for number in (1, 2, 2):
                async with session.post(
                    engine.url + "/completions", data=_chat("m", f"line-{number}")
                ) as response:
                    assert response.status == 418
        assert engine.control()["request_count"] == 3
    assert record.read_text().split() == ["line-1", "line-2", "line-2"]
