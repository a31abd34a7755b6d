"""Wrong keys, counted by the address they come from: after a few, every further one has to wait longer."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

import msgspec

FREE: Final = 10
"""Wrong keys that cost nothing."""
LONGEST: Final = 60.0
FORGIVEN_SECONDS: Final = 600.0
_MAX: Final = 10_000


class _Past(msgspec.Struct):
    wrong: int = 0
    last_at: float = 0.0
    until: float = 0.0


class Guesses:
    """What came from the last ten thousand addresses with wrong keys, and the keys that were right lately.

    Networks of one IPv6 subscriber (/64) count as one address. A key that was right from an address is let through
    although others guess from there, so nobody is locked out by a neighbour.
    """

    def __init__(self) -> None:
        self._past: OrderedDict[str, _Past] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait(self, address: str, hash_: str, *, now: float) -> float:
        """Return in how many seconds a key from here is looked at; 0 for now."""
        past = self._past.get(_place(address))
        if past is None or (_place(address), hash_) in self._known:
            return 0.0
        return max(0.0, past.until - now)

    def wrong(self, address: str, *, now: float) -> None:
        """Note a key that opens nothing: from the eleventh on the wait doubles, from one second to a minute."""
        place = _place(address)
        past = self._past.pop(place, None)
        if past is None or now - past.last_at > FORGIVEN_SECONDS:
            past = _Past()
        past.wrong, past.last_at = past.wrong + 1, now
        if past.wrong >= FREE:
            past.until = now + min(LONGEST, 2.0 ** min(past.wrong - FREE, 10))
        self._past[place] = past
        _bound(self._past)

    def right(self, address: str, hash_: str) -> None:
        """Note a key that opened something. What was guessed from its address is not forgiven for it."""
        mark = (_place(address), hash_)
        self._known[mark] = None
        self._known.move_to_end(mark)
        _bound(self._known)

    def forget(self, address: str, hash_: str) -> None:
        """Note that a key does not open anything any more."""
        self._known.pop((_place(address), hash_), None)

    def __len__(self) -> int:
        return len(self._past) + len(self._known)


def _place(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))


def _bound(kept: OrderedDict[str, _Past] | OrderedDict[tuple[str, str], None]) -> None:
    if len(kept) > _MAX:
        kept.popitem(last=False)
