"""One level of a bucket as people walk through it: the folders and objects right below a prefix, as far as a policy lets them be seen."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Final
from urllib.parse import quote

import msgspec

from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import Reference, parse_reference
from pronk.media.listing import Entry, key_of, read_page
from pronk.media.policy import check_allowed, is_odd_key, may_hold

BEHIND: Final = "\U0010ffff"
"""Behind every key that begins as what it is added to."""
_FOLDER: Final = re.compile(rb"<CommonPrefixes>\s*<Prefix>([^<]*)</Prefix>")


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """What lies right below a prefix: folders (whole prefixes that end with ``/``) and objects, both in order.

    `after` is where the next page begins, None at the end; `hidden` says how many were left out because the policy does not
    let them be read or their names cannot be written as references.
    """

    folders: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    after: str | None = None
    hidden: int = 0


def query_of_level(prefix: str, after: str, count: int, *, is_deep: bool) -> str:
    """Return the query of a page; sorted, as signatures want it. `is_deep` lists everything below."""
    start = f"&start-after={quote(after, safe='-_.~')}" if after else ""
    cut = "" if is_deep else "delimiter=%2F&"
    return f"{cut}encoding-type=url&list-type=2&max-keys={count}&prefix={quote(prefix, safe='-_.~')}{start}"


def read_level(body: bytes) -> Level:
    """Return what a ListObjectsV2 answer with URL-encoded keys says."""
    page = read_page(body)
    folders = tuple(key_of(found) for found in _FOLDER.findall(body))
    ends = [entry.key for entry in page.entries[-1:]] + [folder + BEHIND for folder in folders[-1:]]
    after = max(ends, default=None) if page.has_more else None
    return Level(folders=folders, entries=tuple(page.entries), after=after)


async def fold(
    listing: Callable[[str], AsyncIterator[Entry]], prefix: str, after: str, count: int, *, is_deep: bool
) -> Level:
    """Return a page from a store that lists keys only: a folder is its first key, what follows in it is passed over."""
    folders: list[str] = []
    entries: list[Entry] = []
    while True:
        async for entry in listing(after):
            if len(folders) + len(entries) == count:
                return Level(folders=tuple(folders), entries=tuple(entries), after=after)
            head, slash, _ = entry.key[len(prefix) :].partition("/")
            if slash and not is_deep:
                folders.append(f"{prefix}{head}/")
                after = folders[-1] + BEHIND
                break
            entries.append(entry)
            after = entry.key
        else:
            return Level(folders=tuple(folders), entries=tuple(entries))


def check_visible(reference: Reference, prefix: str, policy: MediaPolicy) -> None:
    """Raise MediaError ``…_not_allowed`` where nothing below the prefix could be read."""
    root = f"{reference.scheme}://{reference.bucket}/"
    if prefix and is_odd_key(f"{prefix}x"):
        raise reference.failure("unsupported", "has empty or dotted path segments, which are not listed")
    if not _may_hold(root + prefix, policy):
        raise reference.failure("not_allowed", "is not in the list of references that this job may read")


def visible(level: Level, reference: Reference, policy: MediaPolicy) -> Level:
    """Return what of a level a caller may see: objects that the policy lets be read, folders that may hold some."""
    root = f"{reference.scheme}://{reference.bucket}/"
    folders = tuple(
        folder
        for folder in level.folders
        if not is_odd_key(f"{folder}x") and _may_hold(root + folder, policy)
    )
    entries = tuple(entry for entry in level.entries if _may_read(root + entry.key, entry.key, policy))
    left_out = len(level.folders) - len(folders) + len(level.entries) - len(entries)
    return msgspec.structs.replace(level, folders=folders, entries=entries, hidden=left_out)


def _may_hold(text: str, policy: MediaPolicy) -> bool:
    return all(may_hold(text, globs) for globs in policy.lists)


def _may_read(text: str, key: str, policy: MediaPolicy) -> bool:
    try:
        reference = parse_reference(text, "image")
        check_allowed(reference, policy)
    except MediaError:
        return False
    return reference.key == key
