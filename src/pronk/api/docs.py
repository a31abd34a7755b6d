"""`/docs`: the description of the API as one plain page, without anything from another host."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

Json = Mapping[str, Any]

_METHODS: Final = ("get", "post", "patch", "delete")
_STYLE: Final = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent) }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem } summary { cursor: pointer; padding: .4rem 0 }
details { border-top: 1px solid var(--line) } details > :not(summary) { margin-left: 1rem }
code, pre { font-family: ui-monospace, monospace; font-size: .875rem }
pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); border-radius: .25rem }
b.verb { display: inline-block; width: 4.5rem } td { padding: .1rem 1rem .1rem 0; vertical-align: top }
"""


def render(description: Json) -> str:
    """Return the page for an OpenAPI document."""
    info = description["info"]
    sections = "".join(_section(tag, description) for tag in _tags(description))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        f'<p>The same for programs: <a href="openapi.json">openapi.json</a></p>{sections}</html>'
    )


def _operations(description: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in description["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def _tags(description: Json) -> list[str]:
    return list(dict.fromkeys(operation["tags"][0] for _, _, operation in _operations(description)))


def _section(tag: str, description: Json) -> str:
    rows = (
        _operation(path, method, operation, description)
        for path, method, operation in _operations(description)
        if operation["tags"][0] == tag
    )
    return f"<section><h2>{escape(tag)}</h2>{''.join(rows)}</section>"


def _operation(path: str, method: str, operation: Json, description: Json) -> str:
    return (
        f'<details><summary><b class="verb">{method.upper()}</b> <code>{escape(path)}</code> '
        f"{escape(operation.get('summary', ''))}</summary><p>{escape(operation.get('description', ''))}</p>"
        f"{_parameters(operation)}{_bodies(operation, description)}{_answers(operation, description)}</details>"
    )


def _parameters(operation: Json) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(entry['name'])}</code><td>{escape(entry['in'])}"
        f"<td>{'required' if entry.get('required') else ''}<td>{escape(entry.get('description', ''))}"
        for entry in operation.get("parameters", ())
    )
    return f"<table>{rows}</table>" if rows else ""


def _bodies(operation: Json, description: Json) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    return "".join(f"<h4>Body</h4>{_media(kind, media, description)}" for kind, media in content.items())


def _answers(operation: Json, description: Json) -> str:
    return (
        "".join(
            f"<h4>{escape(status)} {escape(answer['description'])}</h4>"
            + ("".join(_media(kind, media, description) for kind, media in answer.get("content", {}).items()))
            for status, answer in operation["responses"].items()
            if status.startswith("2")
        )
        + "<p>Errors: "
        + escape(", ".join(s for s in operation["responses"] if not s.startswith("2")))
        + "</p>"
    )


def _media(kind: str, media: Json, description: Json) -> str:
    schema = _resolved(media.get("schema", {}), description)
    example = media.get("example", schema.get("example"))
    rows = "".join(_member(name, member, schema) for name, member in schema.get("properties", {}).items())
    shown = f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>" if example else ""
    return f"<p><code>{escape(kind)}</code></p><table>{rows}</table>{shown}"


def _member(name: str, member: Json, schema: Json) -> str:
    kinds = [member, *member.get("anyOf", ())]
    kind = " or ".join(str(part["type"]) for part in kinds if "type" in part)
    required = "required" if name in schema.get("required", ()) else ""
    text = member.get("description", "")
    return f"<tr><td><code>{escape(name)}</code><td>{escape(kind)}<td>{required}<td>{escape(text)}"


def _resolved(schema: Json, description: Json) -> Json:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: Json = description["components"]["schemas"][name] if name else schema
    return found
