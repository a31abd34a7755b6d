"""Whether a form comes from our own pages, and where one may be led on to. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def is_safe(request: Request) -> bool:
    """Return whether the request only looks."""
    return request.method in _SAFE


def is_ours(request: Request) -> bool:
    """Return whether a changing request was sent by a page of this very server."""
    origin = request.headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower() != ""
    return request.headers.get("sec-fetch-site") == "same-origin"


def local_path(text: str | None) -> str:
    """Return a path on this server to go on to; anything else becomes the first page."""
    if (
        not text
        or not text.startswith("/")
        or text.startswith("//")
        or "\\" in text
        or not text.isprintable()
    ):
        return "/"
    parts = urlsplit(text)
    return text if not parts.scheme and not parts.netloc else "/"
