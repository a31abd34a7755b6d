"""What the calls of both clients are, without how they travel: method, path, query, body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from pronk.domain.errors import ApiError, SettingsError
from pronk.settings import ClientSettings, client_settings

Object = dict[str, Any]
CHAT: Final = "/v1/chat/completions"
TERMINAL: Final = frozenset({"completed", "failed", "expired", "cancelled"})


class Call(msgspec.Struct, frozen=True):
    """One request."""

    method: str
    path: str
    query: Mapping[str, str | int] = {}
    body: Object | None = None


def settings_of(url: str | None, api_key: str | None) -> ClientSettings:
    """Return which server is meant: the arguments, else PRONK_URL and PRONK_API_KEY."""
    if url is None and api_key is None:
        return client_settings()
    given = {"PRONK_URL": url or client_settings().url}
    return client_settings({**given, **({"PRONK_API_KEY": api_key} if api_key else {})})


def create(file_id: str, endpoint: str, window: str, more: Mapping[str, Any]) -> Call:
    """Create a batch."""
    body = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": window, **more}
    return Call("POST", "/v1/batches", body=_given(body))


def again(batch_id: str, deed: str, changes: Mapping[str, Any]) -> Call:
    """Retry or clone a batch."""
    return Call("POST", f"/v1/batches/{batch_id}/{deed}", body=_given(changes))


def check(file_id: str, endpoint: str, job_id: str | None) -> Call:
    """Check a file."""
    body = {"input_file_id": file_id, "endpoint": endpoint, "job_id": job_id}
    return Call("POST", "/v1/batches/check", body=_given(body))


def results(batch_id: str, after: str | None, status: str | None) -> Call:
    """One page of results."""
    return Call(
        "GET", f"/v1/batches/{batch_id}/results", _given({"after": after, "status": status, "limit": 1000})
    )


def lines_of(requests: Iterable[Mapping[str, Any]], endpoint: str = CHAT) -> Iterable[bytes]:
    """Yield requests as lines of an input file: whole lines, or bodies alone, which get the number of their place as custom_id."""
    for number, request in enumerate(requests, 1):
        whole = request if "body" in request else {"body": request}
        line = {"custom_id": str(number), "method": "POST", "url": endpoint, **whole}
        yield msgspec.json.encode(line) + b"\n"


def is_file_id(file: str | Path) -> bool:
    """Return whether an id is meant rather than a file here."""
    return isinstance(file, str) and file.startswith("file-") and not Path(file).exists()


def export_target(batch: Object) -> None:
    """Raise SettingsError for a batch that cannot be exported yet."""
    if batch["status"] not in TERMINAL:
        raise SettingsError(f"{batch['id']} is {batch['status']}; wait for its end first")


def read_object(status: int, data: bytes) -> Object:
    """Return an answer. Raises ApiError with the server's sentence, and its status, code and param."""
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError:
        found = None
    if status < 400 and isinstance(found, dict):
        return found
    error = found.get("error") if isinstance(found, dict) else None
    error = error if isinstance(error, dict) else {}
    raised = ApiError(
        str(error.get("message") or f"the server answered {status}"),
        param=error.get("param"),
        code=error.get("code"),
    )
    raised.status_code = status
    raise raised


def _given(values: Mapping[str, Any]) -> Object:
    return {name: value for name, value in values.items() if value is not None}
