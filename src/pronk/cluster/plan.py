"""What is to be done next with a group of actors: how many there should be, and which one is replaced. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """How many members a group has: one for every `shards_each` shards of its backlog, within `least` and `most`."""

    least: int
    most: int
    shards_each: int

    def wanted(self, backlog: int) -> int:
        """Return how many members so many shards ask for."""
        return max(self.least, min(self.most, -(-backlog // self.shards_each)))


class Calm:
    """Lets a group grow at once, and shrink only when fewer have been enough for `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._count = 0
        self._since = 0.0
        self._most_since = 0

    def of(self, wanted: int, now: float) -> int:
        """Return how many there are to be, `wanted` being enough at this moment."""
        if wanted >= self._count:
            self._count, self._since, self._most_since = wanted, now, 0
            return wanted
        self._most_since = max(self._most_since, wanted)
        if now - self._since >= self._seconds:
            self._count, self._since, self._most_since = self._most_since, now, 0
        return self._count


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One actor as it was seen: `node` is the address of its node, `node_id` what Ray calls that.

    `made_of` is the mark of the settings that it runs on, empty while it has not answered.
    """

    name: str
    made_of: str = ""
    is_ready: bool = False
    is_over: bool = False
    url: str = ""
    node: str = ""
    node_id: str = ""
    error: str = ""

    @property
    def is_placed(self) -> bool:
        """Whether it answered: Ray has found a place for it."""
        return bool(self.made_of)


class Moves(msgspec.Struct, frozen=True):
    """What to do with a group now: actors to start, to stop, and the one to bring to the newest settings."""

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    replace: str | None = None


def moves(group: str, seen: Mapping[str, Member], wanted: int, made_of: str) -> Moves:
    """Return what brings a group to `wanted` members, all made of the newest settings.

    Members are named ``GROUP/0``, ``GROUP/1`` and so on; those with the highest numbers go first. One is replaced at a time, and
    only while all others that have a place are ready.
    """
    names = [f"{group}/{number}" for number in range(wanted)]
    there = [seen[name] for name in names if name in seen]
    surplus = tuple(sorted(name for name in seen if is_of(name, group) and name not in names))
    return Moves(
        start=tuple(name for name in names if name not in seen),
        stop=surplus,
        replace=_next_to_replace(there, made_of) if len(there) == wanted else None,
    )


def is_of(name: str, group: str) -> bool:
    """Return whether an actor's name is one of a group."""
    head, _, number = name.rpartition("/")
    return head == group and number.isdecimal()


def _next_to_replace(there: Collection[Member], made_of: str) -> str | None:
    old = [member for member in there if member.is_placed and member.made_of != made_of]
    if not old:
        return None
    broken = [member for member in old if not member.is_ready]
    if broken:
        return broken[0].name
    return old[0].name if all(member.is_ready for member in there if member.is_placed) else None
