"""The commands' HTTP client, against a small real server."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from pronk.cli.client import Client
from pronk.domain.errors import ApiError, SettingsError, UnavailableError
from pronk.settings import ClientSettings, Secret

MIB = 2**20
BIG = 64 * MIB


class Answers(BaseHTTPRequestHandler):
    """Files and batches as far as a client needs them."""

    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, dict(self.headers)))
        url = urlsplit(self.path)
        if url.path == "/v1/files/file-big/content":
            self._stream(BIG)
        elif url.path == "/v1/files/file-cut/content":
            self._stream(MIB, claimed=2 * MIB)
        elif url.path == "/v1/things":
            self._page(parse_qs(url.query))
        elif url.path == "/plain":
            self._answer(200, b"<html>hello</html>")
        elif url.path == "/busy":
            self._answer(503, b"upstream says no")
        else:
            self._answer(
                404, b'{"error":{"message":"No such file: file-x","type":"t","param":null,"code":null}}'
            )

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        if self.headers["Content-Type"] == "application/json":
            self._answer(200, self.rfile.read(length))
            return
        head = self.rfile.read(1024)
        rest = length - len(head)
        while rest:
            piece = self.rfile.read(min(rest, MIB))
            rest, tail = rest - len(piece), piece[-100:]
        boundary = self.headers["Content-Type"].rpartition("=")[2]
        form = message_from_bytes(
            b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + head + tail
        )
        names = [part.get_filename() or part.get_payload(decode=True).decode() for part in form.get_payload()]  # type: ignore[union-attr]
        ends = tail.endswith(f"--{boundary}--\r\n".encode())
        self._answer(200, json.dumps({"id": "file-1", "names": names, "ends": ends}).encode())

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def _page(self, query: dict[str, list[str]]) -> None:
        after, limit = int(query.get("after", ["0"])[0]), int(query["limit"][0])
        data = [{"id": str(number)} for number in range(after + 1, min(after + limit, 250) + 1)]
        page = {"object": "list", "data": data, "has_more": after + limit < 250}
        self._answer(200, json.dumps(page).encode())

    def _stream(self, count: int, claimed: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(claimed or count))
        self.end_headers()
        for _ in range(count // MIB):
            self.wfile.write(bytes(MIB))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(ClientSettings(url, Secret("k"))) as client:
        yield client


class Counting:
    """Counts what is written, keeps nothing."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, data: bytes) -> int:
        self.count += len(data)
        return len(data)


def test_a_list_is_read_page_by_page_up_to_its_limit(client: Client) -> None:
    assert [each["id"] for each in client.list("/v1/things", 230)] == [str(n) for n in range(1, 231)]
    assert len(client.list("/v1/things", 1000)) == 250


def test_the_key_goes_with_every_request(client: Client) -> None:
    client.list("/v1/things", 1, purpose=None, status="a b")
    path, headers = Answers.seen[-1]
    assert headers["Authorization"] == "Bearer k"
    assert path == "/v1/things?limit=1&status=a+b"


def test_json_goes_out_and_comes_back(client: Client) -> None:
    body: dict[str, Any] = {"input_file_id": "file-1", "metadata": {"ä": "ö"}}
    assert client.post("/v1/batches", body) == body


def test_a_large_upload_is_one_form_and_never_in_memory(client: Client, tmp_path: Path) -> None:
    source = tmp_path / 'in "quotes".jsonl'
    with source.open("wb") as file:
        file.truncate(BIG)
    sent: list[int] = []
    tracemalloc.start()
    answer = client.upload(source, "batch", sent.append)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer == {"id": "file-1", "names": ["batch", "in %22quotes%22.jsonl"], "ends": True}
    assert sum(sent) == BIG
    assert peak < 8 * MIB


def test_a_large_download_is_never_in_memory(client: Client) -> None:
    sink, got = Counting(), list[int]()
    tracemalloc.start()
    client.download("file-big", sink, got.append)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sink.count == sum(got) == BIG
    assert peak < 8 * MIB


def test_a_download_that_breaks_off_is_an_outage(client: Client) -> None:
    with pytest.raises(UnavailableError, match="broke off in the middle of file-cut"):
        client.download("file-cut", BytesIO())


def test_the_servers_own_words_are_the_error(client: Client) -> None:
    with pytest.raises(ApiError, match="No such file: file-x"):
        client.get("/v1/files/file-x")


def test_an_answer_without_an_envelope_still_says_something(client: Client) -> None:
    with pytest.raises(UnavailableError, match="answered 503"):
        client.get("/busy")


def test_a_page_that_is_no_api_is_told_apart(client: Client) -> None:
    with pytest.raises(ApiError, match="is PRONK_URL right"):
        client.get("/plain")


def test_nobody_there_says_how_to_start_a_server() -> None:
    with (
        Client(ClientSettings("http://127.0.0.1:9")) as client,
        pytest.raises(UnavailableError, match="pronk serve"),
    ):
        client.get("/v1/files")


def test_a_file_that_cannot_be_read_is_named(client: Client, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nope\.jsonl cannot be read"):
        client.upload(tmp_path / "nope.jsonl", "batch")
