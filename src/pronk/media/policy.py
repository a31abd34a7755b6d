"""Which references a job may read. Decided on the literal reference, before anything is asked of a store or a name server."""

from __future__ import annotations

import re
from functools import lru_cache
from posixpath import normpath
from urllib.parse import unquote

from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import OBJECT_SCHEMES, Reference

_AUTHORITY = re.compile(r"[a-z0-9]+://[^/]*")
_BY_NAME_ONLY = frozenset({"http", "file"})
_ENDS_NAME = frozenset("/?#@:\\")
_LONGEST = 8192
"""Enough for every reference but data: URLs, of which the beginning decides."""


def check_allowed(reference: Reference, policy: MediaPolicy) -> None:
    """Raise MediaError ``…_not_allowed`` unless the policy lets this reference be read.

    A key with ``.``, ``..`` or empty segments must be allowed as it stands and as a store that tidies paths would read
    it; one that climbs above its bucket never is.
    """
    text = reference.name[:_LONGEST]
    if policy.allow is None and reference.scheme in _BY_NAME_ONLY:
        raise reference.failure(
            "not_allowed", f"uses {reference.scheme}://, which this job does not name in its list"
        )
    if reference.scheme == "data":
        if policy.allow is not None and not fits(text, policy.allow):
            raise _not_listed(reference, policy, policy.allow)
        return
    for globs in policy.lists:
        if not fits(text, globs):
            raise _not_listed(reference, policy, globs)
    if reference.scheme in OBJECT_SCHEMES:
        if is_odd_key(reference.key):
            _check_tidied(reference, policy)
    elif policy.lists and not _fits_all(_tidy_url(text), policy.lists):
        raise reference.failure("not_allowed", "climbs out of what this job may read")


def check_hops(reference: Reference, hops: tuple[str, ...], policy: MediaPolicy) -> None:
    """Raise MediaError ``…_not_allowed`` unless the addresses to which servers sent us on are allowed as well."""
    if not all(url_fits(url, globs) for url in hops for globs in policy.lists):
        raise reference.failure("not_allowed", "is sent on to an address that this job may not read")


def fits(text: str, globs: tuple[str, ...]) -> bool:
    """Return whether one of the globs fits all of `text`; only ``*`` (any run) and ``?`` (one character) are special.

    Plain http and local files must be named with their scheme.
    """
    scheme = text.partition(":")[0]
    if scheme in _BY_NAME_ONLY:
        globs = tuple(glob for glob in globs if glob.startswith(f"{scheme}:"))
    return any(pattern.fullmatch(text) for pattern in _compiled(globs))


def may_hold(beginning: str, globs: tuple[str, ...] | None) -> bool:
    """Return whether a reference that begins so could be one that the globs fit; None fits everything."""
    return globs is None or any(_reaches(beginning, glob) for glob in globs)


def url_fits(url: str, globs: tuple[str, ...]) -> bool:
    """Return whether the globs fit `url` as it stands and as a server reads it that decodes and tidies paths."""
    return fits(url, globs) and fits(_tidy_url(url), globs)


def is_odd_key(key: str) -> bool:
    """Return whether tidying would change `key`: empty, ``.`` or ``..`` segments, control characters."""
    if key[0] == "/" or key[-1] == "/" or "//" in key or not key.isprintable():
        return True
    return (key[0] == "." or "/." in key) and not {".", ".."}.isdisjoint(key.split("/"))


def _fits_all(text: str, lists: tuple[tuple[str, ...], ...]) -> bool:
    return all(fits(text, globs) for globs in lists)


def _not_listed(reference: Reference, policy: MediaPolicy, globs: tuple[str, ...]) -> MediaError:
    who = "job" if globs is policy.allow else "project"
    return reference.failure("not_allowed", f"is not in the list of references that this {who} may read")


def _check_tidied(reference: Reference, policy: MediaPolicy) -> None:
    depth = 0
    for segment in reference.key.split("/"):
        depth += {"": 0, ".": 0, "..": -1}.get(segment, 1)
        if depth < 0:
            raise reference.failure("not_allowed", "climbs out of its bucket")
    tidy = f"{reference.scheme}://{reference.bucket}/{normpath(reference.key).lstrip('/')}"
    if not _fits_all(tidy, policy.lists):
        raise reference.failure("not_allowed", "climbs out of what this job may read")


def _tidy_url(url: str) -> str:
    """Return `url` as a server reads it that decodes its path and resolves the dots in it."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    if "." not in path and "%" not in path and "//" not in path:
        return url
    return f"{scheme}://{authority}{slash}{normpath('/' + unquote(path)).lstrip('/')}{url[len(scheme) + 3 + len(authority + slash + path) :]}"


@lru_cache(maxsize=256)
def _compiled(globs: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(_pattern(glob), re.DOTALL) for glob in globs)


def _pattern(glob: str) -> str:
    """In the bucket or host of a glob a star stops where the bucket or host does; one that names only it means all below."""
    found = _AUTHORITY.match(glob)
    if found is None:
        return _translated(glob, ".*", ".")
    rest = glob[found.end() :]
    return _translated(found[0], r"[^/?#@:\\]*", r"[^/?#@:\\]") + (
        _translated(rest, ".*", ".") if rest else "(?:/.*)?"
    )


def _reaches(beginning: str, glob: str) -> bool:
    """Walk the glob along the text, at all places of it at once; whatever is left of it then, some ending fits."""
    head = _AUTHORITY.match(glob)
    name_ends = head.end() if head else 0
    if head and name_ends == len(glob):
        glob += "/*"
    places = {0}
    for char in beginning:
        after = set()
        for place in _with_stars(places, glob):
            sign = glob[place : place + 1]
            is_any = sign in {"*", "?"} and (place >= name_ends or char not in _ENDS_NAME)
            if is_any or (sign == char and sign not in {"*", "?"}):
                after.add(place if sign == "*" else place + 1)
        places = after
    return bool(places)


def _with_stars(places: set[int], glob: str) -> set[int]:
    """Return the places and those behind stars that stand for nothing."""
    found = set(places)
    for place in places:
        while glob[place : place + 1] == "*":
            place += 1  # noqa: PLW2901
            found.add(place)
    return found


def _translated(glob: str, many: str, one: str) -> str:
    return "".join({"*": many, "?": one}.get(char) or re.escape(char) for char in glob)
