"""A pronk server (or any with OpenAI's files and batches) over HTTP, for commands: JSON in and out, files streamed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol, Self
from urllib.parse import quote

import urllib3

from pronk.domain.errors import ApiError, SettingsError, UnavailableError
from pronk.settings import ClientSettings, client_settings

CHUNK_BYTES: Final = 256 * 1024
PAGE: Final = 100
OnBytes = Callable[[int], None]


class Sink(Protocol):
    """What bytes are written to."""

    def write(self, data: bytes, /) -> object: ...


class Source(Protocol):
    """What bytes are read from."""

    def read(self, count: int, /) -> bytes: ...


def _nothing(_: int) -> None:
    return


class Client:
    """One server. Every method raises ApiError with a sentence for people, UnavailableError when nobody answers."""

    def __init__(self, settings: ClientSettings | None = None) -> None:
        self._settings = settings or client_settings()
        timeout = urllib3.Timeout(connect=10.0, read=300.0)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    @property
    def url(self) -> str:
        return self._settings.url

    def get(self, path: str, **query: str | int | None) -> dict[str, Any]:
        """Return the JSON object at `path`; None leaves a parameter out."""
        return self._object(
            "GET", path, fields={key: str(value) for key, value in query.items() if value is not None}
        )

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send JSON, return the JSON object that answers."""
        return self._object("POST", path, json=dict(body or {}))

    def delete(self, path: str) -> dict[str, Any]:
        """Delete what is at `path`."""
        return self._object("DELETE", path)

    def list(self, path: str, limit: int, **query: str | None) -> list[dict[str, Any]]:
        """Return up to `limit` elements of a list, page by page."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while len(found) < limit:
            page = self.get(path, limit=min(PAGE, limit - len(found)), after=after, **query)
            found += page["data"]
            if not page.get("has_more") or not page["data"]:
                break
            after = found[-1]["id"]
        return found

    def upload(self, file: Path, purpose: str, on_bytes: OnBytes = _nothing) -> dict[str, Any]:
        """Stream a file to the server and return its File object; `on_bytes` hears how many went each time."""
        try:
            size = file.stat().st_size
            with file.open("rb") as source:
                form = _Form(file.name, purpose)
                headers = {"Content-Type": form.content_type, "Content-Length": str(form.length(size))}
                body = form.body(source, on_bytes)
                return self._object("POST", "/v1/files", body=body, headers=headers)
        except OSError as error:
            raise SettingsError(f"{file} cannot be read: {error.strerror}") from error

    def download(self, file_id: str, into: Sink, on_bytes: OnBytes = _nothing) -> None:
        """Stream a file's content."""
        answer = self._send("GET", f"/v1/files/{file_id}/content", preload_content=False)
        try:
            for chunk in answer.stream(CHUNK_BYTES):
                into.write(chunk)
                on_bytes(len(chunk))
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(
                f"the server at {self.url} broke off in the middle of {file_id}"
            ) from error
        finally:
            answer.release_conn()

    def _object(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = self._send(method, path, **more)
        try:
            found = json.loads(answer.data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ApiError(f"{self.url} does not speak OpenAI's API; is PRONK_URL right?")
        return found

    def _send(
        self, method: str, path: str, *, headers: Mapping[str, str] = {}, **more: Any
    ) -> urllib3.BaseHTTPResponse:
        key = self._settings.api_key
        authorization = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
        try:
            answer = self._pool.request(
                method, self.url + quote(path), headers={**authorization, **headers}, **more
            )
        except urllib3.exceptions.HTTPError as error:
            message = f"no server answers at {self.url}; start one with 'pronk serve', or set PRONK_URL"
            raise UnavailableError(message) from error
        if answer.status >= 400:
            _refuse(answer)
        return answer


def _refuse(answer: urllib3.BaseHTTPResponse) -> NoReturn:
    try:
        message = json.loads(answer.data)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = f"the server answered {answer.status} {answer.reason or ''}".strip()
    kind = UnavailableError if answer.status in {502, 503, 504} else ApiError
    raise kind(str(message))


class _Form:
    """A multipart form with one streamed file, its length known beforehand."""

    def __init__(self, filename: str, purpose: str) -> None:
        boundary = f"pronk{secrets.token_hex(16)}"
        self.content_type = f"multipart/form-data; boundary={boundary}"
        name = filename.replace("\\", "\\\\").replace('"', "%22").replace("\n", "%0A").replace("\r", "%0D")
        self._head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def length(self, size: int) -> int:
        return len(self._head) + size + len(self._tail)

    def body(self, source: Source, on_bytes: OnBytes) -> Iterator[bytes]:
        yield self._head
        while chunk := source.read(CHUNK_BYTES):
            yield chunk
            on_bytes(len(chunk))
        yield self._tail
