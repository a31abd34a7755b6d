"""Files through the official SDK and plain HTTP."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from tests.conformance.conftest import lines
from tests.conformance.server import Server, running_server

from pronk.api.download import read_range

DAY = 86_400


def test_the_round_of_a_file(client: OpenAI) -> None:
    created = client.files.create(file=("input.jsonl", b"some bytes"), purpose="batch")
    assert created.id.startswith("file-")
    assert (created.object, created.bytes, created.filename) == ("file", 10, "input.jsonl")
    assert (created.purpose, created.status, created.status_details) == ("batch", "processed", None)
    assert created.expires_at == created.created_at + 30 * DAY
    assert client.files.retrieve(created.id) == created
    assert client.files.content(created.id).read() == b"some bytes"
    assert client.files.wait_for_processing(created.id) == created
    gone = client.files.delete(created.id)
    assert (gone.id, gone.object, gone.deleted) == (created.id, "file", True)
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match="No such file"):
            call(created.id)


@pytest.mark.anyio
async def test_the_round_of_a_file_async(async_client: AsyncOpenAI, tmp_path: Path) -> None:
    path = tmp_path / "from disk.jsonl"
    path.write_bytes(b"x" * 300_000)
    created = await async_client.files.create(file=path, purpose="user_data")
    assert (created.filename, created.bytes, created.expires_at) == ("from disk.jsonl", 300_000, None)
    assert (await async_client.files.retrieve(created.id)).id == created.id
    assert (await async_client.files.content(created.id)).content == b"x" * 300_000
    assert (await async_client.files.delete(created.id)).deleted


@pytest.mark.parametrize(
    "name", ["ünï čödé 猫.jsonl", 'quo"te.jsonl', "sp ace;semi=1.jsonl", "a%20b.jsonl", "x" * 512]
)
def test_filenames(client: OpenAI, name: str) -> None:
    created = client.files.create(file=(name, b"1"), purpose="batch")
    assert created.filename == name.replace('"', "%22")
    disposition = client.files.with_raw_response.content(created.id).headers["content-disposition"]
    assert disposition.startswith("attachment; ")
    assert disposition.isascii()


def test_expiry_as_asked_for(client: OpenAI) -> None:
    created = client.files.create(
        file=("a", b"1"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert created.expires_at == created.created_at + 3600


def test_an_expired_file_is_gone(tmp_path: Path) -> None:
    with (
        running_server(tmp_path) as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client,
    ):
        created = client.files.create(
            file=("a", b"1"), purpose="vision", expires_after={"anchor": "created_at", "seconds": 3600}
        )
        server.late = 3599 - 5
        assert client.files.retrieve(created.id).id == created.id
        server.late = 3600 + 5
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(created.id)
        assert not client.files.list().data


def test_listing(tmp_path: Path) -> None:
    with (
        running_server(tmp_path) as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client,
    ):
        ids = [client.files.create(file=(f"{n}", b"1"), purpose="batch").id for n in range(250)]
        other = client.files.create(file=("v", b"1"), purpose="vision").id
        assert [file.id for file in client.files.list(limit=7, purpose="batch", order="asc")] == sorted(ids)
        assert {file.id for file in client.files.list(limit=100)} == {*ids, other}
        newest_first = [file.id for file in client.files.list(order="desc")]
        assert newest_first == sorted(newest_first, reverse=True)
        assert [file.id for file in client.files.list(purpose="vision")] == [other]
        page = client.files.list(limit=3, after=newest_first[3])
        assert [file.id for file in page.data] == newest_first[4:7]
        assert page.has_more
        client.files.delete(newest_first[3])
        assert [file.id for file in client.files.list(limit=1, after=newest_first[3]).data] == [
            newest_first[4]
        ]
        raw = httpx2.get(f"{server.url}/v1/files", params={"limit": 2}).json()
        assert (raw["first_id"], raw["last_id"]) == (newest_first[0], newest_first[1])
        empty = httpx2.get(f"{server.url}/v1/files", params={"purpose": "evals"}).json()
        assert empty == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


CONTENT = bytes(range(256)) * 8


@pytest.fixture(scope="module")
def stored(server: Server) -> Iterator[str]:
    with httpx2.Client(base_url=server.url) as http:
        created = http.post("/v1/files", files={"file": ("a b.bin", CONTENT)}, data={"purpose": "user_data"})
        yield f"/v1/files/{created.json()['id']}/content"


@pytest.mark.parametrize(
    ("header", "status", "body"),
    [
        ("bytes=0-0", 206, CONTENT[:1]),
        ("bytes=10-19", 206, CONTENT[10:20]),
        ("bytes=2000-", 206, CONTENT[2000:]),
        ("bytes=-48", 206, CONTENT[-48:]),
        ("bytes=-999999", 200, CONTENT),
        ("bytes=0-", 200, CONTENT),
        ("bytes=2000-999999", 206, CONTENT[2000:]),
        ("bytes=5-2", 200, CONTENT),
        ("bytes=", 200, CONTENT),
        ("bytes=x-y", 200, CONTENT),
        ("lines=1-2", 200, CONTENT),
        ("bytes=2048-", 416, None),
        ("bytes=99999999999999999999999-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=0-1,4-5", 416, None),
    ],
)
def test_ranges(http: httpx2.Client, stored: str, header: str, status: int, body: bytes | None) -> None:
    answer = http.get(stored, headers={"Range": header})
    assert answer.status_code == status
    if body is None:
        assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"
        assert answer.json()["error"]["param"] == "Range"
    else:
        assert answer.content == body
        assert answer.headers["content-length"] == str(len(body))
    if status == 206:
        first = CONTENT.index(body or b"") if len(body or b"") > 256 else None
        assert answer.headers["content-range"].endswith(f"/{len(CONTENT)}")
        assert first is None or answer.headers["content-range"].startswith(f"bytes {first}-")


def test_head_and_if_range(http: httpx2.Client, stored: str) -> None:
    head = http.head(stored)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(CONTENT))
    assert head.headers["accept-ranges"] == "bytes"
    assert head.headers["x-content-type-options"] == "nosniff"
    etag = head.headers["etag"]
    assert http.get(stored, headers={"Range": "bytes=1-2", "If-Range": etag}).status_code == 206
    assert http.get(stored, headers={"Range": "bytes=1-2", "If-Range": '"other"'}).status_code == 200
    part = http.head(stored, headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.headers["content-length"]) == (206, "2")


def test_an_empty_file(http: httpx2.Client, client: OpenAI) -> None:
    created = client.files.create(file=("empty", b""), purpose="batch")
    assert created.bytes == 0
    answer = http.get(f"/v1/files/{created.id}/content")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_file_in_use_cannot_be_deleted(idle_client: OpenAI) -> None:
    file = idle_client.files.create(file=("a", lines(1)), purpose="batch")
    batch = idle_client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    with pytest.raises(openai.ConflictError, match=batch.id) as refused:
        idle_client.files.delete(file.id)
    assert refused.value.code == "file_in_use"
    assert idle_client.files.content(file.id).read() == lines(1)


def test_the_limit_holds_while_streaming_and_leaves_nothing(idle: Server) -> None:
    """The purpose may come after the file; the limit of 3,000,000 bytes here holds all the same."""
    before = idle.blobs()
    for fields in (("purpose", "file"), ("file", "purpose")):
        pieces = {
            "purpose": b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n',
            "file": b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            + b"x" * 3_000_001
            + b"\r\n",
        }
        body = b"".join(pieces[name] for name in fields) + b"--B--\r\n"
        answer = httpx2.post(
            f"{idle.url}/v1/files", content=body, headers={"Content-Type": "multipart/form-data; boundary=B"}
        )
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "file_too_large"
        assert "3,000,000" in answer.json()["error"]["message"]
    assert idle.blobs() == before


def test_exactly_the_limit_is_taken(idle_client: OpenAI) -> None:
    assert idle_client.files.create(file=("a", b"x" * 3_000_000), purpose="batch").bytes == 3_000_000
    assert idle_client.files.create(file=("a", b"x" * 3_000_001), purpose="user_data").bytes == 3_000_001


def test_what_says_that_it_is_too_large_is_refused_before_it_is_sent(idle: Server) -> None:
    host, port = idle.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n"
            b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_expect_100_continue(idle: Server) -> None:
    body = (
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhello\r\n'
        b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--B--\r\n'
    )
    host, port = idle.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n"
            b"Content-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n" % len(body)
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_an_upload_that_is_cut_leaves_nothing(idle: Server, idle_http: httpx2.Client) -> None:
    before = idle.blobs()
    host, port = idle.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n"
            b"Content-Length: 2000000\r\n\r\n"
            b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"x" * 1_000_000
        )
    looks = (idle_http.get("/health").status_code for _ in range(1000))
    assert any(status == 200 and idle.blobs() == before for status in looks)


def test_a_large_file_comes_back_as_it_went(client: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    block = hashlib.sha256(b"seed").digest() * 32_768
    with path.open("wb") as file:
        for _ in range(24):
            file.write(block)
    created = client.files.create(file=path, purpose="batch")
    assert created.bytes == 24 * len(block)
    digest = hashlib.sha256()
    with client.files.with_streaming_response.content(created.id) as answer:
        for chunk in answer.iter_bytes():
            digest.update(chunk)
    assert digest.digest() == hashlib.sha256(path.read_bytes()).digest()
    client.files.delete(created.id)


MANY = [
    "bytes=" + ",".join(f"{at}-{at}" for at in range(10_000)),
    "bytes=" + ",".join(["0-"] * 10_000),
    "bytes=" + "0" * 60_000 + "-",
    "bytes=" + "-" * 60_000,
    "bytes=" + ",".join(["0-2047"] * 5_000),
]


@pytest.mark.parametrize("header", MANY, ids=["many", "overlapping", "zeros", "dashes", "whole"])
def test_ranges_that_are_too_much_cost_nothing(header: str, server: Server, stored: str) -> None:
    """Judged by the processor: what reads a range takes time in proportion to it at most."""
    started = time.process_time()
    for _ in range(100):
        read_range(header, len(CONTENT))
    assert time.process_time() - started < 5
    with httpx2.Client(base_url=server.url) as http:
        answer = http.get(stored, headers={"Range": header})
        assert answer.status_code in {200, 416, 431}
        assert len(answer.content) <= len(CONTENT) + 1000
        assert http.get(stored, headers={"Range": "bytes=0-0"}).content == CONTENT[:1]
