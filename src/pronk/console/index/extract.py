"""What the index knows of request lines, result lines and parts, taken from their bytes. Run in a child process.

Each `take_…` writes rows as JSON lines into a file and returns how many.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from pronk.console.index.answers import answer_text, fields_of
from pronk.domain.ids import result_line
from pronk.domain.lines import numbered_lines
from pronk.domain.reference import shown
from pronk.journal import Mark, decode_part
from pronk.media.refs import find_slots

PROMPT_CHARS: Final = 4000
ANSWER_CHARS: Final = 100_000
MAX_REFS: Final = 500
_OBJECT: Final = re.compile(r"[a-z0-9]+://([^/]+)/(.*)", re.DOTALL)
_ENDING: Final = re.compile(r"\.([A-Za-z0-9]{1,5})(?:[?#].*)?$")
_encode = msgspec.json.Encoder().encode


class _Request(msgspec.Struct):
    custom_id: str = ""
    body: msgspec.Raw = msgspec.Raw(b"{}")


class _Response(msgspec.Struct):
    status_code: int = 0
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""
    param: str | None = None


class _Result(msgspec.Struct):
    id: str
    custom_id: str = ""
    response: _Response | None = None
    error: _Error | None = None


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_result = msgspec.json.Decoder(_Result).decode


def take_requests(data: bytes, first: int, start: int, endpoint: str, into: str) -> int:
    """Write a row for each request line of `data`, which begins with line `first` at byte `start` of its file."""
    return _write(into, _requests(data, first, start, endpoint))


def take_results(data: bytes, into: str) -> int:
    """Write a row for each result line of `data`."""
    return _write(into, (result_row(line) for line in data.split(b"\n") if line))


def take_part(data: bytes, results: str, facts: str) -> int:
    """Write the rows of a journal part, and what was measured of its lines; a broken part counts as not there."""
    try:
        found = list(decode_part(data))
    except ValueError:
        found = []
    _write(facts, (fact_row(mark.line, mark.facts) for mark, _ in found))
    return _write(results, (result_row(line, mark) for mark, line in found))


def take_facts(data: bytes, into: str) -> int:
    """Write what was measured, as kept beside the files of an ended batch: on each line a list of (line, facts)."""
    pairs = (pair for line in data.split(b"\n") if line for pair in _decode_pairs(line))
    return _write(into, (fact_row(number, facts) for number, facts in pairs))


_decode_pairs = msgspec.json.Decoder(list[tuple[int, msgspec.Raw]]).decode


def request_row(number: int, start: int, text: bytes, endpoint: str) -> dict[str, Any]:
    """Return what is known of a request line; one that cannot be read keeps its place."""
    row: dict[str, Any] = {"line": number, "start": start, "size": len(text)}
    try:
        request = _decode_request(text)
        body = bytes(request.body)
        texts = [slot.text for slot in find_slots(body, endpoint)]
        row |= {"custom_id": request.custom_id, "prompt": prompt_text(body)}
    except (ValueError, msgspec.DecodeError, RecursionError):
        return row | {"custom_id": "", "prompt": "", "refs": []}
    return row | {"refs": [shown(text) for text in texts[:MAX_REFS]], **_place(texts)}


def result_row(line: bytes, mark: Mark | None = None) -> dict[str, Any]:
    """Return what is known of a result line."""
    result = _decode_result(line)
    row: dict[str, Any] = {"line": result_line(result.id) or 0, "result_id": result.custom_id}
    if result.error is not None:
        row |= {"code": result.error.code, "message": result.error.message, "param": result.error.param}
        return row
    response = result.response or _Response()
    answer = answer_text(bytes(response.body))
    is_ok = 200 <= response.status_code < 300
    row |= {"status": response.status_code, "answer": answer.text[:ANSWER_CHARS]}
    row |= {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
    if is_ok:
        row["fields"] = fields_of(answer.text)
    else:
        row |= {
            "code": mark.code if mark else str(response.status_code),
            "message": answer.text[:ANSWER_CHARS],
        }
    return row


def fact_row(number: int, facts: msgspec.Raw) -> dict[str, Any]:
    """Return what was measured of a line."""
    known = msgspec.json.decode(facts) or {}
    media = known.get("media") or [{}]
    first = media[0]
    return {
        "line": number,
        "tries": known.get("tries", 1),
        "fetch_ms": known.get("fetch_ms", 0),
        "engine_ms": known.get("engine_ms", 0),
        "replica": known.get("replica", ""),
        "ended_at": known.get("at"),
        "bytes": sum(one.get("bytes", 0) for one in media) or None,
        "width": first.get("width"),
        "height": first.get("height"),
        "type": first.get("type"),
        "cached": all(one.get("cache_hit", False) for one in media),
    }


def prompt_text(body: bytes) -> str:
    """Return what the users of a request say, without its media; the beginning of a long one."""
    value = msgspec.json.decode(body)
    pieces: list[str] = []
    for item in _said(value):
        pieces.append(item)
        if sum(map(len, pieces)) > PROMPT_CHARS:
            break
    return "\n".join(pieces)[:PROMPT_CHARS]


def _said(body: Any) -> Iterator[str]:
    if not isinstance(body, dict):
        return
    said = body.get("messages", body.get("input", body.get("prompt")))
    for item in [said] if isinstance(said, str) else said if isinstance(said, list) else []:
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict) and item.get("role", "user") == "user":
            yield from texts_of(item.get("content"))


def texts_of(content: Any) -> Iterator[str]:
    """Yield the texts of a message's content."""
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else []:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]


def _requests(data: bytes, first: int, start: int, endpoint: str) -> Iterator[dict[str, Any]]:
    offsets = [start]
    for line in data.split(b"\n"):
        offsets.append(offsets[-1] + len(line) + 1)
    for number, text in numbered_lines(data, first):
        row = request_row(number, offsets[number - first], text, endpoint)
        row["size"] = offsets[number - first + 1] - offsets[number - first] - 1
        yield row


def _place(texts: list[str]) -> dict[str, str | None]:
    """Return bucket, prefix and ending of the first reference: what failures tend to have in common."""
    if not texts or texts[0].startswith("data:"):
        return {"bucket": "data:" if texts else None, "prefix": None, "ending": None}
    found, ending = _OBJECT.match(texts[0]), _ENDING.search(texts[0])
    bucket, key = (found[1], found[2]) if found else ("", "")
    folder = "/".join(key.split("/")[:-1][:3])
    return {
        "bucket": bucket[:200],
        "prefix": f"{bucket}/{folder}"[:300],
        "ending": ending[1].lower() if ending else "none",
    }


def _write(into: str, rows: Iterable[dict[str, Any]]) -> int:
    lines = [_encode(row) for row in rows]
    Path(into).write_bytes(b"\n".join(lines))
    return len(lines)
