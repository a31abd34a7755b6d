"""What form the answer must have: `response_format` and Responses' `text.format`, as a JSON schema within limits.

The limits come from how the grammar compiler behaves: nesting and size make it slow with everybody waiting, and a
letter beyond ASCII before a hexadecimal digit comes out as another letter.
"""

import re
from collections.abc import Iterator

import msgspec

from pronk.engines.bundled.fields import Fields, as_object, shown
from pronk.engines.bundled.refusals import bad, missing

MAX_SCHEMA_BYTES = 64 * 1024
MAX_DEPTH = 32
ANY_OBJECT = '{"type":"object"}'
MANGLED = re.compile(r"[^\x00-\x7f][0-9A-Fa-f]")


def read_response_format(fields: Fields) -> str | None:
    """The schema of chat's `response_format`, None for plain text."""
    form = fields.child("response_format")
    if form is None or not _asks_for_schema(form):
        return _schema_of_kind(form)
    inner = form.child("json_schema")
    if inner is None:
        raise missing(form.at("json_schema"), "an object with name and schema")
    return read_schema(inner)


def read_text_format(fields: Fields) -> str | None:
    """The schema of Responses' `text.format`, whose members stand one level higher than chat's."""
    text = fields.child("text")
    form = None if text is None else text.child("format")
    if form is None or not _asks_for_schema(form):
        return _schema_of_kind(form)
    return read_schema(form)


def _asks_for_schema(form: Fields) -> bool:
    kind = form.required_text("type", "text, json_object or json_schema")
    if kind not in ("text", "json_object", "json_schema"):
        raise bad(
            form.at("type"), f"{form.at('type')} must be text, json_object or json_schema, not {shown(kind)}"
        )
    return kind == "json_schema"


def _schema_of_kind(form: Fields | None) -> str | None:
    return ANY_OBJECT if form is not None and form.get("type") == "json_object" else None


def read_schema(fields: Fields) -> str:
    """The text of the member `schema`; raises when it is no object or over a limit."""
    value = fields.get("schema")
    path = fields.at("schema")
    if value is None:
        raise missing(path, "a JSON schema")
    schema = as_object(value, path)
    text = msgspec.json.encode(schema.members).decode()
    if len(text) > MAX_SCHEMA_BYTES:
        raise bad(
            path, f"{path} has {len(text)} bytes; at most {MAX_SCHEMA_BYTES} are taken", "invalid_json_schema"
        )
    _check_depth(value, path)
    _check_letters(value, path)
    return text


def _check_depth(value: object, path: str) -> None:
    depth = _depth_of(value)
    if depth > MAX_DEPTH:
        message = f"{path} is nested {depth} levels deep; at most {MAX_DEPTH} are taken"
        raise bad(path, message, "invalid_json_schema")


def _depth_of(value: object) -> int:
    level = [value]
    depth = 0
    while level := [child for item in level for child in _children(item)]:
        depth += 1
    return depth


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _check_letters(value: object, path: str) -> None:
    for text in texts(value):
        if MANGLED.search(text):
            message = (
                f"{path} has {shown(text)}, where a letter beyond ASCII stands before one of 0-9 a-f A-F;"
                " this engine would answer with another letter, so spell it in ASCII"
            )
            raise bad(path, message, "invalid_json_schema")


def texts(value: object) -> Iterator[str]:
    """Every string that the grammar may force into the answer: keys, choices, constants, patterns."""
    if not isinstance(value, dict):
        return
    for word in ("properties", "patternProperties", "$defs", "definitions"):
        inner = value.get(word)
        if isinstance(inner, dict):
            yield from (key for key in inner if isinstance(key, str))
    for word in ("enum", "const", "pattern", "required"):
        yield from _strings(value.get(word))
    for key, child in value.items():
        if key not in ("enum", "const"):
            yield from _nested(child)


def _nested(value: object) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        yield from texts(item)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for child in _children(value):
        yield from _strings(child)
    if isinstance(value, dict):
        yield from (key for key in value if isinstance(key, str))
