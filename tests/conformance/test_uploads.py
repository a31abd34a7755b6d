"""Uploads in parts through the official SDK."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import Upload
from tests.conformance.conftest import lines
from tests.conformance.server import Server, running_server

PIECES = [lines(3), b"middle " * 1000, b"", b"end"]
WHOLE = b"".join(PIECES)


def begin(client: OpenAI, size: int = len(WHOLE), **more: object) -> Upload:
    return client.uploads.create(
        bytes=size,
        filename="in parts.jsonl",
        mime_type="application/jsonl",
        purpose="batch",
        **more,  # type: ignore[arg-type]
    )


def add(client: OpenAI, upload: Upload, data: bytes) -> str:
    return client.uploads.parts.create(upload.id, data=data).id


def test_parts_in_any_order_and_at_once(client: OpenAI, server: Server) -> None:
    upload = begin(client)
    assert (upload.object, upload.status, upload.bytes) == ("upload", "pending", len(WHOLE))
    assert upload.expires_at == upload.created_at + 3600
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda data: add(client, upload, data), reversed(PIECES)))[::-1]
    done = client.uploads.complete(upload.id, part_ids=ids, md5=hashlib.md5(WHOLE).hexdigest().upper())  # noqa: S324
    assert done.status == "completed"
    assert done.file is not None
    assert (done.file.bytes, done.file.filename, done.file.purpose) == (len(WHOLE), "in parts.jsonl", "batch")
    assert done.file.expires_at == done.file.created_at + 30 * 86_400
    assert client.files.content(done.file.id).read() == WHOLE
    assert not [name for name in server.blobs() if upload.id in name]
    with pytest.raises(openai.ConflictError, match=done.file.id):
        client.uploads.complete(upload.id, part_ids=ids)
    with pytest.raises(openai.ConflictError):
        client.uploads.cancel(upload.id)


def test_the_sdk_cuts_a_file_by_itself(client: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_bytes(WHOLE)
    done = client.uploads.upload_file_chunked(
        file=path, mime_type="application/jsonl", purpose="batch", part_size=1000
    )
    assert done.file is not None
    assert client.files.content(done.file.id).read() == WHOLE


@pytest.mark.anyio
async def test_async(async_client: AsyncOpenAI) -> None:
    upload = await async_client.uploads.create(
        bytes=3, filename="a", mime_type="text/plain", purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 7200},
    )  # fmt: skip
    part = await async_client.uploads.parts.create(upload.id, data=b"abc")
    assert (part.object, part.upload_id) == ("upload.part", upload.id)
    done = await async_client.uploads.complete(upload.id, part_ids=[part.id])
    assert done.file is not None
    assert done.file.expires_at == done.file.created_at + 7200


def test_cancel(client: OpenAI, server: Server) -> None:
    upload = begin(client)
    add(client, upload, b"abc")
    assert [name for name in server.blobs() if upload.id in name]
    assert client.uploads.cancel(upload.id).status == "cancelled"
    assert not [name for name in server.blobs() if upload.id in name]
    with pytest.raises(openai.ConflictError, match="cancelled"):
        add(client, upload, b"abc")
    assert not [name for name in server.blobs() if upload.id in name]


def test_an_hour_to_live(tmp_path: Path) -> None:
    with (
        running_server(tmp_path) as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client,
    ):
        upload = begin(client, 1)
        part = add(client, upload, b"a")
        server.late = 3601
        with pytest.raises(openai.ConflictError, match="expired"):
            add(client, upload, b"abc")
        with pytest.raises(openai.ConflictError, match="expired"):
            client.uploads.complete(upload.id, part_ids=[part])


@pytest.fixture(scope="module")
def pending(server: Server) -> Iterator[tuple[OpenAI, Upload, str]]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client:
        upload = begin(client, 3)
        yield client, upload, add(client, upload, b"abc")


def test_a_completion_that_does_not_fit_changes_nothing(
    pending: tuple[OpenAI, Upload, str], server: Server
) -> None:
    client, upload, part = pending
    other = add(client, begin(client, 3), b"abc")
    before = server.blobs()
    for part_ids, md5, code in (
        ([], None, "size_mismatch"),
        ([part, part], None, "invalid_part"),
        ([other], None, "invalid_part"),
        (["part_nothing"], None, "invalid_part"),
        (["a\x00b"], None, "invalid_part"),
        ([part], "0" * 32, "md5_mismatch"),
        ([part], "not hexadecimal", "md5_mismatch"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.uploads.complete(upload.id, part_ids=part_ids, md5=md5 or openai.omit)
        assert refused.value.code == code
    assert server.blobs() == before
    assert client.uploads.complete(upload.id, part_ids=[part]).status == "completed"


def test_limits(idle: Server, idle_client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        begin(idle_client, 3_000_001)
    assert refused.value.status_code == 413
    with pytest.raises(openai.BadRequestError, match="8589934592"):
        idle_client.uploads.create(bytes=8 * 2**30 + 1, filename="a", mime_type="a", purpose="vision")
    upload = idle_client.uploads.create(bytes=8 * 2**30, filename="a", mime_type="a", purpose="vision")
    before = idle.blobs()
    part = (
        b'--B\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\n',
        b"x" * (64 * 2**20),
        b"\r\n--B--\r\n",
    )
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    url = f"{idle.url}/v1/uploads/{upload.id}/parts"
    assert httpx2.post(url, content=b"".join(part), headers=headers, timeout=30).status_code == 200
    over = httpx2.post(url, content=b"y".join(part), headers=headers, timeout=30)
    assert over.status_code == 413
    assert len(idle.blobs()) == len(before) + 1
    idle_client.uploads.cancel(upload.id)
