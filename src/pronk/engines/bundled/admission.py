"""Who may generate now: requests wait in order until the KV cache has room for the longest answer they may give.

The engine's own answer to a full cache is to drop requests that did nothing wrong, so it never sees one.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from pronk.engines.bundled.protocol import BLOCK_TOKENS
from pronk.engines.bundled.refusals import overloaded
from pronk.engines.bundled.sequence import Sequence


def blocks_for(tokens: int) -> int:
    """KV blocks that a sequence of so many tokens fills, prompt and answer together."""
    return -(-tokens // BLOCK_TOKENS)


@dataclass(frozen=True, slots=True)
class Room:
    """`blocks` of KV cache, `sequences` at once, and how much may wait: a count and picture bytes."""

    blocks: int
    sequences: int
    waiting: int
    waiting_bytes: int


class Admission:
    """Strictly first come, first served, so that a large request is never overtaken for ever."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._waiting: deque[Sequence] = deque()
        self._waiting_bytes = 0
        self._running: dict[int, Sequence] = {}
        self._used = 0

    @property
    def waiting_count(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> dict[int, Sequence]:
        return self._running

    @property
    def used_blocks(self) -> int:
        return self._used

    def enqueue(self, sequence: Sequence) -> None:
        """Raises `RateLimitError` when too much waits already."""
        size = sequence.picture_bytes
        if len(self._waiting) >= self._room.waiting or self._waiting_bytes + size > self._room.waiting_bytes:
            raise overloaded(f"{len(self._waiting)} requests are waiting already; try again in a moment")
        self._waiting.append(sequence)
        self._waiting_bytes += size

    def requeue(self, sequence: Sequence) -> None:
        """Put a running sequence back to the front, to be admitted again."""
        self.leave(sequence)
        self._waiting.appendleft(sequence)
        self._waiting_bytes += sequence.picture_bytes

    def admit(self) -> Iterator[Sequence]:
        """Move sequences from waiting to running while they fit."""
        while self._waiting and self._fits(self._waiting[0]):
            sequence = self._waiting.popleft()
            self._waiting_bytes -= sequence.picture_bytes
            self._running[sequence.id] = sequence
            self._used += sequence.blocks
            yield sequence

    def leave(self, sequence: Sequence) -> None:
        """Forget a sequence, wherever it stands; a second time is nothing."""
        if self._running.pop(sequence.id, None) is not None:
            self._used -= sequence.blocks
        elif sequence in self._waiting:
            self._waiting.remove(sequence)
            self._waiting_bytes -= sequence.picture_bytes

    def _fits(self, sequence: Sequence) -> bool:
        room = self._room
        return len(self._running) < room.sequences and self._used + sequence.blocks <= room.blocks
