"""The engine client: bytes as they are, cancellation that the engine feels, errors with one meaning each."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import pytest
from tests.fakes.engine import Behaviour, FakeEngine, fake_engine

from pronk.domain.errors import EngineError, SettingsError
from pronk.engines.client import Answer, Client, Limits

pytestmark = pytest.mark.anyio
PATH = "/v1/chat/completions"
DATED = b"""HTTP/1.1 503 Later\r
Date: Sun, 22 Nov 2026 10:00:00 GMT\r
Retry-After: Sun, 22 Nov 2026 10:00:30 GMT\r
content-length: 0\r
\r
"""


def body_of(model: str = "m", text: str = "hello") -> bytes:
    return msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": text}]})


def text_of(answer: Answer) -> str:
    content: str = msgspec.json.decode(answer.body)["choices"][0]["message"]["content"]
    return content


@asynccontextmanager
async def canned(*answers: bytes) -> AsyncIterator[str]:
    """Serve connections that answer any request with the next bytes, and then end."""
    waiting = list(answers)

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(waiting.pop(0))

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610  # not Django's
        yield f"http://127.0.0.1:{port}/v1"
        group.cancel_scope.cancel()


async def failure(client: Client, body: bytes) -> str:
    with pytest.raises(EngineError) as caught:
        await client.post(PATH, body)
    assert caught.value.retriable
    return caught.value.code


async def test_the_body_arrives_byte_for_byte_and_the_key_with_it() -> None:
    async with fake_engine(api_key="secret") as engine:
        body = b'{"model":"m", "messages": [{"role":"user","content":"\\u00e9 \xc3\xa9"}],"n":1.0e0}'
        answer = await Client(engine.url, api_key="secret").post(PATH, body)
        assert (answer.status, text_of(answer)) == (200, "é é")
        assert engine.requests[0].body == body
        assert engine.requests[0].header("content-type") == "application/json"
        refused = await Client(engine.url, api_key="wrong").post(PATH, body)
        assert refused.status == 401


@pytest.mark.parametrize(
    ("base", "target"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/up%20there/v1", "/up%20there/v1/chat/completions"),
        ("/api/openai", "/api/openai/chat/completions"),
    ],
)
async def test_where_a_base_url_leads(base: str, target: str) -> None:
    async with fake_engine() as engine:
        await Client(engine.url.removesuffix("/v1") + base).post(PATH, body_of())
        assert engine.requests[0].path == target


async def test_a_url_that_is_none_is_a_setting_that_is_wrong() -> None:
    with pytest.raises(SettingsError, match="localhost:8000"):
        Client("localhost:8000")


async def test_connections_are_reused_and_one_that_the_engine_closed_is_not() -> None:
    async with fake_engine() as engine:
        client = Client(engine.url)
        for _ in range(3):
            await client.post(PATH, body_of())
        assert engine.connection_count == 1
        engine.close_idle()
        await engine.until(lambda e: not e.connections)
        while client._idle[0].is_open:
            await anyio.lowlevel.checkpoint()
        await client.post(PATH, body_of())
        assert engine.connection_count == 2


async def test_a_connection_idle_too_long_is_not_used_again() -> None:
    async with fake_engine() as engine:
        client = Client(engine.url, limits=Limits(max_idle=0.0))
        await client.post(PATH, body_of())
        await client.post(PATH, body_of())
        assert engine.connection_count == 2


@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_a_cancelled_request_is_aborted_at_the_engine(size: int) -> None:
    async with fake_engine() as engine, anyio.create_task_group() as group:
        client = Client(engine.url)
        for _ in range(5):
            group.start_soon(client.post, PATH, body_of("hold", "x" * size))
        await engine.until(lambda e: e.in_flight == 5)
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await engine.until(lambda e: e.aborted == 5)
    assert engine.in_flight == 0


async def test_a_cancelled_request_leaves_no_answer_to_the_next() -> None:
    async with fake_engine() as engine:
        client = Client(engine.url)
        with anyio.move_on_after(0) as scope:
            await client.post(PATH, body_of(text="first"))
        assert scope.cancelled_caught
        assert text_of(await client.post(PATH, body_of(text="second"))) == "second"


async def test_no_answer_in_time_is_a_timeout_and_aborts() -> None:
    async with fake_engine() as engine:
        assert (
            await failure(Client(engine.url, limits=Limits(request_timeout=0.01)), body_of("hold"))
            == "engine_timeout"
        )
        await engine.until(lambda e: e.aborted == 1)


async def test_each_exchange_on_a_connection_has_its_own_time() -> None:
    async with fake_engine() as engine:
        client = Client(engine.url, limits=Limits(request_timeout=60.0))
        assert (await client.post(PATH, body_of())).status == 200
        held = body_of("hold")
        with pytest.raises(EngineError, match="in time"):
            await client._ask(client._head(PATH, held), held, client._within(0.01))
        await engine.until(lambda e: e.aborted == 1)


async def test_nobody_listens() -> None:
    async with fake_engine() as engine:
        client = Client(engine.url)
        await client.post(PATH, body_of())
        await engine.go_down()
        assert await failure(client, body_of()) == "engine_unavailable"
        await engine.come_back()
        assert (await client.post(PATH, body_of())).status == 200


async def test_an_engine_that_does_not_accept_is_unavailable_after_the_connect_timeout() -> None:
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        client = Client(f"http://127.0.0.1:{deaf.getsockname()[1]}/v1", limits=Limits(connect_timeout=0.05))
        assert await failure(client, body_of()) == "engine_unavailable"


@pytest.mark.parametrize("cut", ["before", "middle"])
async def test_a_connection_that_breaks_is_unavailable(cut: str) -> None:
    async with fake_engine() as engine:
        engine.models["m"] = msgspec.convert({"cut": cut}, Behaviour)
        client = Client(engine.url)
        assert await failure(client, body_of()) == "engine_unavailable"
        assert engine.request_count == 1


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", Answer(200, b"{}")),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", Answer(200, b"{}")),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            Answer(204, b""),
        ),
        (b"HTTP/1.1 429 Slow\r\nretry-after: 1.5\r\ncontent-length: 1\r\n\r\nx", Answer(429, b"x", 1.5)),
        (
            DATED,
            Answer(503, b"", 30.0),
        ),
        (b"HTTP/1.1 503 Later\r\nRetry-After: soon\r\ncontent-length: 0\r\n\r\n", Answer(503, b"")),
        (b"HTTP/1.1 200 OK\r\nX-Request-Id: r1\r\ncontent-length: 0\r\n\r\n", Answer(200, b"", None, "r1")),
        (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\ncontent-length: 0\r\n\r\n", Answer(302, b"")),
    ],
)
async def test_answers_of_other_servers(raw: bytes, expected: Answer) -> None:
    async with canned(raw) as url:
        assert await Client(url).post(PATH, body_of()) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\n",
    ],
)
async def test_what_is_no_answer_is_unavailable(raw: bytes) -> None:
    async with canned(raw) as url:
        assert await failure(Client(url), body_of()) == "engine_unavailable"


async def test_bytes_after_the_answer_never_become_the_next_answer() -> None:
    one = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1"
    async with canned(one + one.replace(b"\n1", b"\n2"), one.replace(b"\n1", b"\n3")) as url:
        client = Client(url)
        assert [(await client.post(PATH, body_of())).body for _ in range(2)] == [b"1", b"3"]


async def test_an_answer_without_end_is_cut_off() -> None:
    async with fake_engine() as engine:
        client = Client(engine.url, limits=Limits(max_answer_bytes=1000))
        assert await failure(client, body_of(text="x" * 2000)) == "engine_unavailable"


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake_engine() as engine:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert (await Client(engine.url).post(PATH, body_of())).status == 200


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return contexts of a server named 127.0.0.1 and of a client that trusts it."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=test"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(made, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    return server, ssl.create_default_context(cafile=str(cert))


async def test_tls_is_checked_against_the_trusted_roots(tmp_path: Path) -> None:
    server, trusting = certificate(tmp_path)
    async with fake_engine(tls=server) as engine:
        answer = await Client(engine.url, tls=trusting).post(PATH, body_of(text="x" * 200_000))
        assert text_of(answer) == "x" * 200_000
        assert await failure(Client(engine.url), body_of()) == "engine_unavailable"


async def streamed(engine: FakeEngine, client: Client, model: str) -> bytes:
    body = msgspec.json.encode(
        {"model": model, "stream": True, "messages": [{"role": "user", "content": "a b c"}]}
    )
    async with client.stream(PATH, body) as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
        return b"".join([chunk async for chunk in stream.chunks])


async def test_a_stream_is_passed_on_and_its_connection_kept() -> None:
    async with fake_engine() as engine:
        client = Client(engine.url)
        whole = await streamed(engine, client, "m")
        assert whole.count(b"data: ") == 4
        assert whole.endswith(b"data: [DONE]\n\n")
        assert await streamed(engine, client, "m") == whole
        assert engine.connection_count == 1


async def test_a_stream_that_is_left_is_aborted_at_the_engine() -> None:
    async with fake_engine() as engine:
        body = b'{"model":"hold","stream":true,"messages":[{"role":"user","content":"a b c"}]}'
        async with Client(engine.url).stream(PATH, body) as stream:
            async for chunk in stream.chunks:
                assert b'"a "' in chunk
                break
        await engine.until(lambda e: e.aborted == 1)


async def test_a_stream_that_breaks_off_is_unavailable() -> None:
    async with fake_engine() as engine, anyio.create_task_group() as group:
        engine.models["m"] = Behaviour(hold=True, cut="before")

        async def cut() -> None:
            await engine.until(lambda e: len(e.held) == 1)
            engine.release()

        group.start_soon(cut)
        with pytest.raises(EngineError, match="closed"):
            await streamed(engine, Client(engine.url), "m")


async def test_a_long_stream_is_read_no_further_than_its_reader() -> None:
    async with fake_engine() as engine:
        text = " ".join(["word" * 1000] * 5000)
        body = msgspec.json.encode(
            {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}
        )
        async with Client(engine.url).stream(PATH, body) as stream:
            first = await anext(stream.chunks)
            await anyio.wait_all_tasks_blocked()
            rest = [chunk async for chunk in stream.chunks]
        assert sum(map(len, [first, *rest])) > 20_000_000
