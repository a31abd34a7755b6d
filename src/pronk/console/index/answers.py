"""What an engine said, out of the answers of all endpoints; and the fields of an answer that is JSON. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

MAX_FIELDS: Final = 40
MAX_VALUE: Final = 200
_FENCE: Final = re.compile(r"\A\s*```(?:json)?\s*(.*?)\s*```\s*\Z", re.DOTALL)


class Answer(msgspec.Struct, frozen=True):
    """Text for people, and tokens."""

    text: str
    input_tokens: int = 0
    output_tokens: int = 0


def answer_text(body: bytes) -> Answer:
    """Return what an answer says, whichever endpoint gave it; what has no text is shown as JSON."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return Answer(body[:4000].decode(errors="replace"))
    if not isinstance(value, dict):
        return Answer(body[:4000].decode(errors="replace"))
    given = value.get("usage")
    usage: dict[str, Any] = given if isinstance(given, dict) else {}
    return Answer(
        _text(value, body),
        _count(usage.get("prompt_tokens", usage.get("input_tokens"))),
        _count(usage.get("completion_tokens", usage.get("output_tokens"))),
    )


def json_of(text: str) -> msgspec.Raw | None:
    """Return the JSON object or list that a text is, fenced or not; None for any other text."""
    fenced = _FENCE.match(text)
    plain = (fenced[1] if fenced else text).strip()
    if not plain.startswith(("{", "[")):
        return None
    try:
        msgspec.json.decode(plain.encode(errors="replace"))
    except (msgspec.DecodeError, RecursionError):
        return None
    return msgspec.Raw(plain.encode(errors="replace"))


def fields_of(text: str) -> dict[str, str] | None:
    """Return the fields of a JSON answer by path, with their values as JSON would write them; strings stand bare."""
    raw = json_of(text)
    if raw is None:
        return None
    found: dict[str, str] = {}
    _gather(raw, "", found)
    return found or None


def _gather(raw: msgspec.Raw, path: str, found: dict[str, str]) -> None:
    """Numbers stay as they were written: nothing is decoded but objects and strings."""
    data = bytes(raw).strip()
    if len(found) >= MAX_FIELDS:
        return
    if data.startswith(b"{") and path.count(".") < 3:
        for name, inner in msgspec.json.decode(data, type=dict[str, msgspec.Raw]).items():
            _gather(inner, f"{path}.{name}" if path else name, found)
    elif data.startswith(b'"'):
        found[path] = msgspec.json.decode(data, type=str)[:MAX_VALUE]
    elif path:
        found[path] = data.decode(errors="replace")[:MAX_VALUE]


def _text(value: dict[str, Any], body: bytes) -> str:
    error = value.get("error")
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    choices, output = value.get("choices"), value.get("output")
    if isinstance(choices, list) and choices:
        return "\n".join(_choice(choice) for choice in choices)
    if isinstance(output, list):
        parts = [part for item in output if isinstance(item, dict) for part in item.get("content") or []]
        return "\n".join(
            part["text"] for part in parts if isinstance(part, dict) and _is_text(part.get("text"))
        )
    if isinstance(value.get("data"), list) and "embedding" in body[:2000].decode(errors="replace"):
        return _embeddings(value["data"])
    return body[:4000].decode(errors="replace")


def _choice(choice: Any) -> str:
    if not isinstance(choice, dict):
        return ""
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else choice.get("text")
    if isinstance(content, str):
        return content
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    return msgspec.json.encode(calls).decode() if calls else ""


def _embeddings(data: list[Any]) -> str:
    sizes = [
        len(one["embedding"]) for one in data if isinstance(one, dict) and _has_size(one.get("embedding"))
    ]
    return f"{len(data)} embedding{'s' if len(data) != 1 else ''} of {sizes[0] if sizes else '?'} numbers"


def _has_size(value: Any) -> bool:
    return isinstance(value, (list, str))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0
