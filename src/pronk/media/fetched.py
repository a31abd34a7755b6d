"""What a source hands back, and the ways in which a single try of a fetch goes wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from pronk.domain.errors import PronkError


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of one object and what names this version of it (an ETag with its quotes, as the server wrote it).

    `via` holds the addresses to which a web server sent us on.
    """

    data: bytes
    etag: str | None = None
    via: tuple[str, ...] = ()


class Glimpse(msgspec.Struct, frozen=True, kw_only=True):
    """The first bytes of an object (all of a small one) and its size, None where its server does not say.

    `region` is where its bucket lies; `via` holds the addresses to which a web server sent us on.
    """

    size: int | None
    head: bytes
    region: str | None = None
    via: tuple[str, ...] = ()


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What may come back: at most `max_bytes`; nothing if the object is still the one with `etag`.

    `admit` hears the size before the body is read and may raise. `lists` holds the lists of globs that a redirect must fit, each of them.
    """

    max_bytes: int
    etag: str | None = None
    lists: tuple[tuple[str, ...], ...] = ()
    admit: Callable[[int], None]


class FetchError(PronkError):
    """One try failed for good; `ending` completes the code (``not_found``, …), `why` the message."""

    def __init__(self, ending: str, why: str) -> None:
        super().__init__(why)
        self.ending = ending
        self.why = why


class TransientError(PronkError):
    """One try failed in a way that another may not; `retry_after` is the server's own wish in seconds."""

    def __init__(self, why: str, *, slow_down: bool = False, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.slow_down = slow_down
        self.retry_after = retry_after


class WrongRegionError(PronkError):
    """The store says that the bucket lives in another region, and `right` which, where it names it."""

    def __init__(self, why: str, right: str | None = None) -> None:
        super().__init__(why)
        self.right = right


class ExpiredKeysError(PronkError):
    """The store says that the credentials are over."""


def too_large(size: int | None, limit: int) -> FetchError:
    """Return the failure of an object over its limit of bytes; `size` is unknown for a stream that was cut off."""
    have = "is" if size is None else f"has {size:,} bytes,"
    return FetchError("too_large", f"{have} over the limit of {limit:,} bytes")


def status_failure(status: int, *, retry_after: float | None = None) -> FetchError | TransientError:
    """Return what an HTTP answer that is neither a success nor a redirect means."""
    if status in {404, 410}:
        return FetchError("not_found", f"does not exist (HTTP {status})")
    if status in {401, 403, 407, 451}:
        return FetchError("access_denied", f"may not be read with what the server presents (HTTP {status})")
    if status in {408, 425, 429} or status >= 500:
        return TransientError(f"HTTP {status}", slow_down=status in {429, 503}, retry_after=retry_after)
    return FetchError("fetch_failed", f"was refused by its server (HTTP {status})")


class Sleep(Protocol):
    """`anyio.sleep` or a stand-in."""

    def __call__(self, delay: float) -> Awaitable[None]: ...
