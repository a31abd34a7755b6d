"""Indexes without a server: lines written as a batch's would be, read by the functions that read those."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import msgspec

from pronk.console.index import extract
from pronk.console.index.feed import Feed
from pronk.console.index.shelf import Index
from pronk.console.index.table import Table

CHAT = "/v1/chat/completions"


async def index_of(folder: Path, lines: Iterable[dict[str, Any]]) -> Index:
    """Return a whole index of lines, each of which may have: ref, prompt, answer, code, message, tokens, facts."""
    table = Table(folder)
    asked, told, facts = bytearray(), bytearray(), []
    for number, line in enumerate(lines, 1):
        asked += _asked(number, line) + b"\n"
        told += _told(number, line) + b"\n"
        facts.append((number, line.get("facts") or {}))
    into = folder / "rows.jsonl"
    extract.take_requests(bytes(asked), 1, 0, CHAT, str(into))
    await table.add("requests", into)
    extract.take_results(bytes(told), str(into))
    await table.add("results", into)
    extract.take_facts(msgspec.json.encode(facts), str(into))
    await table.add("facts", into)
    index = Index(cast("Any", None), table, Feed(cast("Any", None), table, folder, cast("Any", None)), folder)
    index.is_whole = True
    return index


def _asked(number: int, line: dict[str, Any]) -> bytes:
    content: list[dict[str, Any]] = [{"type": "text", "text": line.get("prompt", "")}]
    if "ref" in line:
        content.insert(0, {"type": "image_url", "image_url": {"url": line["ref"]}})
    body = {"model": "m", "messages": [{"role": "user", "content": content}]}
    return json.dumps(
        {"custom_id": line.get("id", f"r{number}"), "method": "POST", "url": CHAT, "body": body}
    ).encode()


def _told(number: int, line: dict[str, Any]) -> bytes:
    told: dict[str, Any] = {
        "id": f"batch_req_1_{number}",
        "custom_id": line.get("id", f"r{number}"),
        "response": None,
        "error": None,
    }
    if "code" in line:
        told["error"] = {"code": line["code"], "message": line.get("message", "")}
    else:
        usage = {
            "prompt_tokens": line.get("tokens", (1, 1))[0],
            "completion_tokens": line.get("tokens", (1, 1))[1],
        }
        body = {"choices": [{"message": {"content": line.get("answer", "")}}], "usage": usage}
        told["response"] = {"status_code": 200, "body": body}
    return json.dumps(told).encode()
