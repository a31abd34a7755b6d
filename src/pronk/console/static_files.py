"""Scripts, styles and pictures of the pages: named by what they hold, so that browsers keep them for ever."""

from __future__ import annotations

import gzip
from hashlib import blake2b
from importlib.resources import files
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

PREFIX: Final = "/assets/"
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS: Final = {"cache-control": "public, max-age=31536000, immutable", "vary": "accept-encoding"}


class Asset(msgspec.Struct, frozen=True):
    """One file as it is sent."""

    type: str
    plain: bytes
    packed: bytes


class Assets:
    """All files of the folder, read once."""

    def __init__(self) -> None:
        self._by_name: dict[str, str] = {}
        self._assets: dict[str, Asset] = {}
        root = files("pronk.console") / "static"
        for folder in (root, root / "vendor"):
            for entry in folder.iterdir():
                if entry.is_file() and entry.name.rpartition(".")[2] in _TYPES:
                    self._add(entry.name, entry.read_bytes())

    def url(self, name: str) -> str:
        """Return where a file is to be had; KeyError for one that is not there."""
        return PREFIX + self._by_name[name]

    def text(self, name: str) -> str:
        """Return a file as text, for pages that have to hold it; KeyError for one that is not there."""
        return self._assets[self._by_name[name]].plain.decode()

    def find(self, hashed: str) -> Asset | None:
        """Return the file of a hashed name."""
        return self._assets.get(hashed)

    def answer(self, request: Request, hashed: str) -> Response:
        """Return the answer to a GET for a hashed name."""
        asset = self.find(hashed)
        if asset is None:
            return Response("There is no such file.", 404, media_type="text/plain")
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                asset.packed, headers={**_HEADERS, "content-encoding": "gzip"}, media_type=asset.type
            )
        return Response(asset.plain, headers=_HEADERS, media_type=asset.type)

    def _add(self, name: str, data: bytes) -> None:
        stem, _, ending = name.rpartition(".")
        hashed = f"{stem}.{blake2b(data, digest_size=6).hexdigest()}.{ending}"
        self._by_name[name] = hashed
        self._assets[hashed] = Asset(_TYPES[ending], data, gzip.compress(data, 9, mtime=0))
