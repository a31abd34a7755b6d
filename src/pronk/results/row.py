"""One result line and its request line as the cells of one row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from pronk.domain.usage import read_usage

Cells = dict[str, Any]
PLAIN: Final = {
    "line": "BIGINT",
    "custom_id": "VARCHAR",
    "ok": "BOOLEAN",
    "images": "VARCHAR[]",
    "prompt": "VARCHAR",
    "answer": "VARCHAR",
    "embedding": "DOUBLE[]",
    "model": "VARCHAR",
    "finish_reason": "VARCHAR",
    "input_tokens": "BIGINT",
    "cached_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "reasoning_tokens": "BIGINT",
    "status_code": "BIGINT",
    "error_code": "VARCHAR",
    "error_message": "VARCHAR",
    "error_param": "VARCHAR",
}
"""The columns that every table has, with their types."""

_STANDARD: Final = frozenset({"custom_id", "method", "url", "body"})
_FENCE: Final = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL | re.IGNORECASE)
_encode = msgspec.json.Encoder().encode


def read_result(line: int, raw: bytes) -> tuple[Cells, Cells]:
    """Return the plain cells of a result line, and the fields of its answer if that is a JSON object."""
    result = _object(raw)
    response = result.get("response") or {}
    body = response.get("body")
    body = body if isinstance(body, dict) else {}
    error = result.get("error") or body.get("error")
    error = error if isinstance(error, dict) else {}
    cells: Cells = {
        "line": line,
        "custom_id": result.get("custom_id"),
        "ok": bool(response) and response.get("status_code", 0) < 400 and not result.get("error"),
        "status_code": response.get("status_code"),
        "error_code": _text(error.get("code") or error.get("type")),
        "error_message": _text(error.get("message")),
        "error_param": _text(error.get("param")),
        "model": _text(body.get("model")),
        **_answer(body),
    }
    if body:
        usage, _ = read_usage(_encode(body))
        cells |= {name: getattr(usage, name) for name in usage.__struct_fields__}
    return cells, _fields(cells.get("answer"))


def read_request(raw: bytes) -> tuple[Cells, Cells]:
    """Return the plain cells of a request line, and the members that are not OpenAI's."""
    request = _object(raw)
    body = request.get("body")
    body = body if isinstance(body, dict) else {}
    texts: list[str] = []
    images: list[str] = []
    for kind, value in _parts(body):
        (images if kind == "media" else texts).append(value)
    extra = {name: value for name, value in request.items() if name not in _STANDARD}
    metadata = body.get("metadata")
    extra |= metadata if isinstance(metadata, dict) else {}
    return {"images": images, "prompt": "\n".join(texts) or None}, extra


def _answer(body: Cells) -> Cells:
    choices = body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        message = choices[0].get("message")
        text = message.get("content") if isinstance(message, dict) else choices[0].get("text")
        return {"answer": _text(text), "finish_reason": _text(choices[0].get("finish_reason"))}
    output, data = body.get("output"), body.get("data")
    if isinstance(output, list):
        return {"answer": "".join(_output_texts(output)) or None, "finish_reason": _text(body.get("status"))}
    if isinstance(data, list) and data and isinstance(data[0], dict):
        vector = data[0].get("embedding")
        return {"embedding": vector if isinstance(vector, list) else None}
    return {}


def _output_texts(output: list[Any]) -> Iterator[str]:
    for item in output:
        content = item.get("content") if isinstance(item, dict) else None
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]


def _parts(body: Cells) -> Iterator[tuple[str, str]]:
    """Yield ("text", …) of what users say and ("media", …) of references; a data: URL only by its beginning."""
    items = body.get("messages", body.get("input", body.get("prompt")))
    for item in items if isinstance(items, list) else [items]:
        if isinstance(item, str):
            yield "text", item
        if not isinstance(item, dict):
            continue
        content = item.get("content")
        for part in content if isinstance(content, list) else [content]:
            if isinstance(part, str) and item.get("role") == "user":
                yield "text", part
            elif isinstance(part, dict):
                yield from _part(part, is_user=item.get("role") == "user")


def _part(part: Cells, *, is_user: bool) -> Iterator[tuple[str, str]]:
    text = part.get("text")
    if is_user and isinstance(text, str):
        yield "text", text
    for name in ("image_url", "video_url", "audio_url"):
        found = part.get(name)
        url = found.get("url") if isinstance(found, dict) else found
        if isinstance(url, str):
            yield "media", url if not url.startswith("data:") else f"{url[:64]}…"


def _fields(answer: object) -> Cells:
    if not isinstance(answer, str):
        return {}
    fenced = _FENCE.fullmatch(answer)
    text = (fenced[1] if fenced else answer).strip()
    if not text.startswith("{"):
        return {}
    return _object(text.encode("utf-8", "replace"))


def _object(raw: bytes) -> Cells:
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return _encode(value).decode()
