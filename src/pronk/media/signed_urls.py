"""What of a URL's query only signs it: dropped from names, so that the same picture signed twice is one picture."""

from __future__ import annotations

from urllib.parse import unquote

_AZURE = frozenset(
    {"sig", "se", "st", "sp", "sv", "sr", "spr", "sip", "skoid", "sktid", "skt", "ske", "sks", "skv", "sdd"}
)

_SCHEMES: tuple[tuple[frozenset[str], frozenset[str], tuple[str, ...]], ...] = (
    (frozenset({"x-amz-signature"}), frozenset(), ("x-amz-",)),
    (frozenset({"x-goog-signature"}), frozenset(), ("x-goog-",)),
    (frozenset({"awsaccesskeyid", "signature"}), frozenset({"awsaccesskeyid", "signature", "expires"}), ()),
    (frozenset({"googleaccessid", "signature"}), frozenset({"googleaccessid", "signature", "expires"}), ()),
    (frozenset({"ossaccesskeyid", "signature"}), frozenset({"ossaccesskeyid", "signature", "expires"}), ()),
    (
        frozenset({"key-pair-id", "signature"}),
        frozenset({"key-pair-id", "signature", "expires", "policy"}),
        (),
    ),
    (frozenset({"sig", "sv"}), _AZURE, ()),
)
"""Which parameters give a way of signing away, which it brings, and which beginnings of names are its own."""


def without_signature(url: str) -> str:
    """Return `url` without its fragment and the parameters that sign it; all others stay, in their order."""
    base, mark, query = url.partition("#")[0].partition("?")
    if not mark:
        return base
    pieces = query.split("&")
    names = [unquote(piece.partition("=")[0]).lower() for piece in pieces]
    present = frozenset(names)
    for signs, drops, beginnings in _SCHEMES:
        if signs <= present:
            kept = [
                piece
                for piece, name in zip(pieces, names, strict=True)
                if not _is_of(name, drops, beginnings)
            ]
            return f"{base}?{'&'.join(kept)}" if kept else base
    return f"{base}?{query}"


def _is_of(name: str, drops: frozenset[str], beginnings: tuple[str, ...]) -> bool:
    return name in drops or name.startswith(beginnings)
