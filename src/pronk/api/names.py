"""Ids as callers send them, in paths and as cursors: checked before anything is asked of the store."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pronk.domain.errors import InvalidRequestError, NotFoundError

_SHOWN = 80


class Kind(NamedTuple):
    """One kind of id."""

    noun: str
    pattern: re.Pattern[str]
    example: str


FILE: Final = Kind("file", re.compile(r"file-[A-Za-z0-9_-]{1,64}"), "file-0196f3c2a1b4d5e6f7a8b9c0d1e")
BATCH: Final = Kind("batch", re.compile(r"batch_[A-Za-z0-9_-]{1,64}"), "batch_0196f3c2a1b4d5e6f7a8b9c0d1e")
UPLOAD: Final = Kind(
    "upload", re.compile(r"upload_[A-Za-z0-9_-]{1,64}"), "upload_0196f3c2a1b4d5e6f7a8b9c0d1e"
)
PART: Final = Kind("part", re.compile(r"part_[A-Za-z0-9_-]{1,64}"), "part_0196f3c2a1b4d5e6f7a8b9c0d1e")
JOB: Final = Kind("job", re.compile(r"job-[A-Za-z0-9._-]{1,100}"), "job-sort-parts")
KEY: Final = Kind("key", re.compile(r"key_[A-Za-z0-9_-]{1,64}"), "key_0196f3c2a1b4d5e6f7a8b9c0d1e")
PROJECT: Final = Kind("project", re.compile(r"proj_[A-Za-z0-9_-]{1,64}"), "proj_0196f3c2a1b4d5e6f7a8b9c0d1e")
WEBHOOK: Final = Kind("webhook", re.compile(r"wh_[A-Za-z0-9_-]{1,64}"), "wh_0196f3c2a1b4d5e6f7a8b9c0d1e")
ERRAND: Final = Kind("delivery", re.compile(r"evt_[A-Za-z0-9_-]{1,64}"), "evt_0196f3c2a1b4d5e6f7a8b9c0d1e")
EVENT: Final = Kind("event", re.compile(r"event_[A-Za-z0-9_-]{1,64}"), "event_0196f3c2a1b4d5e6f7a8b9c0d1e")


def checked_id(kind: Kind, text: str) -> str:
    """Return an id that may exist. Raises NotFoundError for one that cannot be of this kind."""
    if kind.pattern.fullmatch(text):
        return text
    code = "job_not_found" if kind is JOB else "not_found"
    raise NotFoundError(f"No such {kind.noun}: {shown(text)}.", param=f"{kind.noun}_id", code=code)


def checked_cursor(kind: Kind, text: str | None) -> str | None:
    """Return where a list begins, None for its start. Raises InvalidRequestError for what no list ever gave out."""
    if not text:
        return None
    if kind.pattern.fullmatch(text):
        return text
    raise InvalidRequestError(
        f"'after' is {shown(text)}; it has to be the id of a {kind.noun}, such as {kind.example!r}, the last of the "
        "page before.",
        param="after",
        code="invalid_cursor",
    )


def shown(value: object) -> str:
    """Return a value as it may stand in a message: quoted, escaped and cut."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
