"""The last resort of the API, its small bodies, and what its patterns promise."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from pronk.api.edge import Edge
from pronk.api.errors import envelope
from pronk.api.examples import FILENAME_PATTERN, WINDOW_PATTERN
from pronk.api.names import BATCH, FILE, checked_cursor, checked_id, shown
from pronk.api.receiving import clean_filename
from pronk.domain.errors import InvalidRequestError, NotFoundError
from pronk.domain.window import window_seconds

SCOPE: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def through_edge(app: Any) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await Edge(app)(dict(SCOPE), receive, send)
    return sent


@pytest.mark.anyio
async def test_a_fault_of_ours_is_an_envelope_with_a_reference() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    start, body = await through_edge(broken)
    headers = dict(start["headers"])
    error = json.loads(body["body"])["error"]
    assert start["status"] == 500
    assert (error["type"], error["code"]) == ("server_error", "internal_error")
    assert headers[b"x-request-id"].decode() in error["message"]


@pytest.mark.anyio
async def test_a_fault_after_the_answer_has_begun_cuts_it() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await through_edge(broken)


def test_an_envelope_holds_any_text() -> None:
    found = json.loads(bytes(envelope(400, "half \ud800", param="\udfff").body))
    assert found == {
        "error": {"message": "half ?", "type": "invalid_request_error", "param": "?", "code": None}
    }


@given(st.text(max_size=300))
def test_what_is_shown_can_be_printed(value: str) -> None:
    assert shown(value).isprintable()
    assert len(shown(value)) <= 81


@given(st.from_regex(r"[0-9]{1,6}[mhd]", fullmatch=True) | st.just("unlimited") | st.text(max_size=8))
def test_the_pattern_of_windows_is_the_rule_for_them(window: str) -> None:
    is_described = re.search(WINDOW_PATTERN, window) is not None and not window.endswith("\n")
    try:
        window_seconds(window)
    except ValueError:
        assert not is_described
    else:
        assert is_described or window.startswith("0")


@given(st.text(max_size=20))
def test_the_pattern_of_filenames_is_the_rule_for_them(name: str) -> None:
    try:
        kept = clean_filename(name, "file")
    except InvalidRequestError:
        assert re.fullmatch(FILENAME_PATTERN.strip("^$"), name) is None
    else:
        assert re.fullmatch(FILENAME_PATTERN.strip("^$"), name)
        assert name.endswith(kept)


def test_ids() -> None:
    assert checked_id(FILE, "file-0a") == "file-0a"
    assert checked_cursor(BATCH, None) is None
    assert checked_cursor(BATCH, "") is None
    for wrong in ("batch_1", "file-", "file-ü", "file-a\n", "file-" + "a" * 65, "FILE-a"):
        with pytest.raises(NotFoundError):
            checked_id(FILE, wrong)
        with pytest.raises(InvalidRequestError):
            checked_cursor(FILE, wrong)
