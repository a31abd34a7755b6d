"""Results as notebooks show them: pictures beside prompts and answers. Everything that came from elsewhere is text."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape
from typing import Final

import msgspec

MAX_TEXT: Final = 2000
_TYPES: Final = {"image/png", "image/jpeg", "image/webp", "image/gif"}
_CELL: Final = (
    "text-align:left;vertical-align:top;padding:6px 10px;white-space:pre-wrap;overflow-wrap:anywhere"
)


class Picture(msgspec.Struct, frozen=True):
    """A reference of a line, and its small picture as the server made it, where it gave one."""

    reference: str
    data: bytes = b""
    type: str = ""

    def _repr_html_(self) -> str:
        name = f"<small>{_text(self.reference, 200)}</small>"
        if not self.data or self.type not in _TYPES:
            return name
        source = f"data:{self.type};base64,{base64.b64encode(self.data).decode()}"
        return f'<img src="{source}" alt="" style="max-width:160px;max-height:160px"><br>{name}'


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One line: what was asked, what came of it. `error` is its code and message."""

    custom_id: str
    pictures: tuple[Picture, ...]
    prompt: str
    answer: str
    error: str = ""

    def _repr_html_(self) -> str:
        pictures = "<br>".join(picture._repr_html_() for picture in self.pictures)
        came = f'<b style="color:#c0392b">{_text(self.error)}</b>' if self.error else _text(self.answer)
        cells = (_text(self.custom_id), pictures, _text(self.prompt), came)
        return "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"


class Gallery(msgspec.Struct, frozen=True):
    """Lines of a batch; a notebook shows them as a table, `print` as text, and they can be gone through."""

    batch_id: str
    lines: tuple[Shown, ...]

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[Shown]:
        return iter(self.lines)

    def __repr__(self) -> str:
        rows = [f"{line.custom_id}: {line.error or line.answer}" for line in self.lines]
        return "\n".join([f"{self.batch_id}, {len(rows)} lines", *rows])

    def _repr_html_(self) -> str:
        names = "".join(f'<th style="{_CELL}">{name}</th>' for name in ("id", "pictures", "prompt", "answer"))
        return f"<table><tr>{names}</tr>{''.join(line._repr_html_() for line in self.lines)}</table>"


def _text(value: str, most: int = MAX_TEXT) -> str:
    """Return what is shown of a text, with nothing in it that a page could take for markup."""
    cut = value if len(value) <= most else value[:most] + "…"
    return escape(cut, quote=True).replace("\0", "�")
