"""A media reference as somebody wrote it: which scheme, which bucket and key, and how to name it in a message."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from pronk.domain.errors import MediaError

Kind = Literal["image", "video", "audio", "document"]

OBJECT_SCHEMES = frozenset({"s3", "gs", "az"})
SCHEMES = OBJECT_SCHEMES | {"https", "http", "data", "file"}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,253}[A-Za-z0-9]")
_DOTTED_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_VERSION = re.compile(r"\?versionId=([A-Za-z0-9._~\-]+)\Z")
_PAGES = re.compile(r"(?<=\.(?i:pdf))#page=([0-9]+)(?:-([0-9]+))?\Z")
_FRAGMENT = re.compile(r"#page=([0-9]+)(?:-([0-9]+))?\Z")
_DOCUMENT = re.compile(r"\.pdf\Z", re.IGNORECASE)
_PLAIN_AUTHORITY = re.compile(r"[a-z]+://[^/@\\]+/")
_SHOWN_LENGTH = 200
_MAX_KEY_BYTES = 1024
_MAX_DIGITS = 9


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """One parsed reference. `bucket` and `key` are set for object stores only, and the key is literal.

    `version` is what an exact ``?versionId=…`` ending named, `pages` the first and last page (from 1) that an exact
    ``#page=N`` or ``#page=N-M`` behind ``.pdf`` named; None is every page of a document.
    """

    text: str
    kind: Kind
    scheme: str
    bucket: str = ""
    key: str = ""
    version: str | None = None
    pages: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """What is read: the reference without its choice of pages, which policies and caches of objects do not know."""
        if self.pages is None:
            return self.text
        if not self.bucket:
            return self.text.rpartition("#")[0]
        version = f"?versionId={self.version}" if self.version is not None else ""
        return f"{self.scheme}://{self.bucket}/{self.key}{version}"

    def failure(self, ending: str, why: str, *, retriable: bool = False) -> MediaError:
        """Return the error of this reference: code ``{kind}_{ending}`` and a message that names it safely."""
        return MediaError(f"{self.kind}_{ending}", f"{shown(self.text)} {why}", retriable=retriable)


def parse_reference(text: str, kind: Kind) -> Reference:
    """Return the parsed reference; MediaError ``…_unsupported`` if it is malformed or its scheme is not served.

    An image reference whose key or path ends in ``.pdf`` is one of a document.
    """
    found = _SCHEME.match(text)
    scheme = found[1] if found else ""
    if scheme in OBJECT_SCHEMES:
        return _parse_object(text, kind, scheme)
    reference = _parse_address(text, kind, scheme)
    if not _is_unicode(text):
        raise reference.failure("unsupported", "is not valid Unicode")
    if scheme not in SCHEMES:
        raise reference.failure("unsupported", f"is not a reference that is served; {_schemes_hint(scheme)}")
    return reference


def may_be_document(text: str) -> bool:
    """Return whether `text` may name a document: quick, and never wrong when it says no."""
    return not text.startswith("data:") and ".pdf" in text.lower()


def shown(text: str) -> str:
    """Return `text` as a message may show it: no query, no user name or password, no line breaks, not long."""
    if text.startswith("data:"):
        return "The data: URL"
    if not text.startswith(("s3://", "gs://", "az://")):
        text = _without_secrets(text)
    else:
        text = _VERSION.sub("", text)
    if len(text) > _SHOWN_LENGTH:
        text = text[:_SHOWN_LENGTH] + "…"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _without_secrets(text: str) -> str:
    text = re.split(r"[?#]", text, maxsplit=1)[0]
    if _PLAIN_AUTHORITY.match(text) or not re.search(r"[@\\]", text):
        return text
    scheme = _SCHEME.match(text)
    return (scheme[0] if scheme else "") + "//" + re.split(r"[@\\]", text)[-1]


def _schemes_hint(scheme: str) -> str:
    if scheme.lower() in SCHEMES and scheme != scheme.lower():
        return f"write its scheme in lower case, {scheme.lower()}:"
    return "use s3://bucket/key, gs://, az://, https:// or data:"


def _parse_address(text: str, kind: Kind, scheme: str) -> Reference:
    """The path of a file is literal, that of an address on the web ends at its query."""
    if scheme not in {"https", "http", "file"}:
        return Reference(text=text, kind=kind, scheme=scheme)
    found = _FRAGMENT.search(text)
    stem = text[: found.start()] if found else text.partition("#")[0] if scheme != "file" else text
    path = stem if scheme == "file" else stem.partition("?")[0]
    is_document = _DOCUMENT.search(path) is not None
    reference = Reference(
        text=text,
        kind="document" if kind == "image" and is_document else kind,
        scheme=scheme,
        pages=_first_and_last(found) if found and is_document else None,
    )
    if problem := _problem_of_pages(reference):
        raise reference.failure("unsupported", problem)
    return reference


def _parse_object(text: str, kind: Kind, scheme: str) -> Reference:
    rest = text[len(scheme) + 1 :]
    bucket, _, key = rest.removeprefix("//").partition("/")
    version = _VERSION.search(key)
    if version:
        key = key[: version.start()]
    pages = _PAGES.search(key)
    if pages:
        key = key[: pages.start()]
    reference = Reference(
        text=text,
        kind="document" if kind == "image" and _DOCUMENT.search(key) else kind,
        scheme=scheme,
        bucket=bucket,
        key=key,
        version=version[1] if version else None,
        pages=_first_and_last(pages) if pages else None,
    )
    problem = "needs // after the scheme" if not rest.startswith("//") else _problem(bucket, key)
    problem = problem or _problem_of_pages(reference)
    if problem:
        raise reference.failure("unsupported", f"{problem}; write {scheme}://bucket/key")
    return reference


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _problem(bucket: str, key: str) -> str | None:
    if not _BUCKET.fullmatch(bucket) or _DOTTED_NUMBERS.fullmatch(bucket):
        return "does not name a bucket"
    if not key:
        return "names a bucket but no key"
    if not _is_unicode(key):
        return "has a key that is not valid Unicode"
    size = len(key.encode())
    if size > _MAX_KEY_BYTES:
        return f"has a key of {size} bytes, over the {_MAX_KEY_BYTES} that stores allow"
    if "\0" in key:
        return "has a key with a zero byte"
    return None


def _first_and_last(found: re.Match[str]) -> tuple[int, int]:
    """Numbers that no document has become zero, which is refused."""
    first, last = found[1], found[2] or found[1]
    return (int(first), int(last)) if max(len(first), len(last)) <= _MAX_DIGITS else (0, 0)


def _problem_of_pages(reference: Reference) -> str | None:
    if reference.pages is None:
        return None
    if reference.kind != "document":
        return "asks for pages of a document outside of an image part"
    first, last = reference.pages
    return (
        None
        if 1 <= first <= last
        else "asks for pages that no document has, #page=N or #page=N-M count from 1"
    )
