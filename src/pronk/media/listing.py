"""The keys below a prefix, in order, from a store that gives a thousand a page: many pages at a time, in constant memory.

The key space is cut into ranges that are listed side by side. A range that goes on while somebody is idle gives the half behind it
away; where that half lies is guessed from the keys at hand, and a wrong guess costs one empty page. What a range finds before
its turn waits in a file.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from html import unescape
from typing import BinaryIO, Final
from urllib.parse import quote, unquote_plus

import anyio
import msgspec

from pronk.domain.errors import PronkError

AT_ONCE: Final = 12
PAGE: Final = 1000
_ENTRY: Final = re.compile(rb"<Key>([^<]*)</Key>.*?<Size>(\d+)</Size>", re.DOTALL)


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """An object's key and its size in bytes."""

    key: str
    size: int


class Page(msgspec.Struct, frozen=True):
    """Up to a thousand entries in order, and whether more follow."""

    entries: list[Entry]
    has_more: bool


Fetch = Callable[[str], Awaitable[Page]]
"""Returns the page of the keys after a key. Raises MediaError."""


def read_page(body: bytes) -> Page:
    """Return what a ListObjectsV2 answer with URL-encoded keys says."""
    entries = [Entry(key_of(found[0]), int(found[1])) for found in _ENTRY.findall(body)]
    return Page(entries, b"<IsTruncated>true</IsTruncated>" in body)


def query_of(prefix: str, after: str) -> str:
    """Return the query of the page after a key; sorted, as signatures want it."""
    start = f"&start-after={quote(after, safe='-_.~')}" if after else ""
    return f"encoding-type=url&list-type=2&max-keys={PAGE}&prefix={quote(prefix, safe='-_.~')}{start}"


async def list_keys(fetch: Fetch, prefix: str, after: str = "") -> AsyncIterator[Entry]:
    """Yield every entry whose key begins with `prefix` and comes after `after`, in order.

    Leave nothing half read: close the iterator, and what runs ends.
    """
    listing = _Listing(fetch, prefix)
    with tempfile.TemporaryFile() as spool:
        async with anyio.create_task_group() as group:
            listing.begin(after, spool)
            for _ in range(AT_ONCE):
                group.start_soon(listing.work)
            async for entry in listing.entries():
                yield entry
            group.cancel_scope.cancel()
    if listing.failure is not None:
        raise listing.failure


class _Range:
    """Keys after `low` up to `high` (None: to the end). Pages wait in the spool as (offset, length)."""

    def __init__(self, low: str, high: str | None) -> None:
        self.low = low
        self.high = high
        self.pages: list[tuple[int, int]] = []
        self.is_done = False
        self.next: _Range | None = None


class _Listing:
    def __init__(self, fetch: Fetch, prefix: str) -> None:
        self._fetch = fetch
        self._prefix = prefix
        self._waiting: list[_Range] = []
        self.failure: PronkError | None = None
        self._idle = 0
        self._changed = anyio.Event()
        self._alphabet: set[str] = set()
        self._first: _Range
        self._spool: BinaryIO

    def begin(self, after: str, spool: BinaryIO) -> None:
        self._spool = spool
        self._first = _Range(after, None)
        self._offer(self._first)

    async def work(self) -> None:
        """List ranges until there are none and nobody can give one away."""
        while True:
            self._idle += 1
            while not self._waiting:
                await self._changed.wait()
            self._idle -= 1
            range_ = self._waiting.pop()
            try:
                while not range_.is_done:
                    await self._list_page(range_)
            except PronkError as error:
                self.failure = error
                self._tell()
                return

    async def entries(self) -> AsyncIterator[Entry]:
        range_: _Range | None = self._first
        while range_ is not None:
            taken = 0
            while True:
                while taken < len(range_.pages):
                    for entry in self._read(range_.pages[taken]):
                        yield entry
                    taken += 1
                if self.failure is not None:
                    return
                if range_.is_done:
                    break
                await self._changed.wait()
            range_ = range_.next

    async def _list_page(self, range_: _Range) -> None:
        page = await self._fetch(range_.low)
        entries, has_more = page.entries, page.has_more
        if range_.high is not None and entries and entries[-1].key > range_.high:
            entries = [entry for entry in entries if entry.key <= range_.high]
            has_more = False
        if entries:
            range_.low = entries[-1].key
            self._write(range_, entries)
            self._learn(entries)
        if not has_more:
            range_.is_done = True
        elif self._idle > len(self._waiting):
            self._give_away(range_)
        self._tell()

    def _give_away(self, range_: _Range) -> None:
        middle = middle_of(range_.low, range_.high, self._prefix, "".join(sorted(self._alphabet)))
        if middle is None or not range_.low < middle or (range_.high is not None and middle >= range_.high):
            return
        behind = _Range(middle, range_.high)
        behind.next, range_.next, range_.high = range_.next, behind, middle
        self._offer(behind)

    def _offer(self, range_: _Range) -> None:
        self._waiting.append(range_)
        self._tell()

    def _learn(self, entries: list[Entry]) -> None:
        for entry in (entries[0], entries[len(entries) // 2], entries[-1]):
            self._alphabet.update(entry.key[len(self._prefix) :])

    def _write(self, range_: _Range, entries: list[Entry]) -> None:
        data = msgspec.msgpack.encode(entries)
        at = self._spool.seek(0, 2)
        self._spool.write(data)
        range_.pages.append((at, len(data)))

    def _read(self, page: tuple[int, int]) -> list[Entry]:
        self._spool.seek(page[0])
        return msgspec.msgpack.decode(self._spool.read(page[1]), type=list[Entry])

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def middle_of(low: str, high: str | None, prefix: str, alphabet: str) -> str | None:
    """Return a text about half way between two keys below `prefix`, as digits of a number over `alphabet`; None if there is none.

    An end that is open is taken for the last key that the alphabet can write.
    """
    if len(alphabet) < 2:
        return None
    tail = low[len(prefix) :] if low.startswith(prefix) else ""
    end = (
        high[len(prefix) :]
        if high is not None and high.startswith(prefix)
        else alphabet[-1] * (len(tail) + 8)
    )
    shared = 0
    while shared < min(len(tail), len(end)) and tail[shared] == end[shared]:
        shared += 1
    digits = _digits(tail[shared : shared + 8], alphabet), _digits(end[shared : shared + 8], alphabet)
    middle = sum(digits) // 2
    text = ""
    for _ in range(8):
        middle, rest = divmod(middle, len(alphabet))
        text = alphabet[rest] + text
    return prefix + tail[:shared] + text


def _digits(text: str, alphabet: str) -> int:
    """Return eight characters as a number; one that is not in the alphabet counts as the next lower one."""
    number = 0
    for index in range(8):
        char = text[index] if index < len(text) else ""
        place = sum(1 for known in alphabet if known <= char) - 1 if char else 0
        number = number * len(alphabet) + max(0, place)
    return number


def key_of(raw: bytes) -> str:
    """Return a key as it was before it was URL-encoded for XML."""
    text = raw.decode("utf-8", "replace")
    if "&" in text:
        text = unescape(text)
    return unquote_plus(text) if "%" in text or "+" in text else text
