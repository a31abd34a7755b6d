"""A shard: contiguous request lines of one batch, the unit of leasing; and the claim on one."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pronk.domain.ids import BatchId, WorkerId
from pronk.domain.usage import NO_USAGE, Usage

MAX_LINES = 500
MAX_BYTES = 4 * 1024 * 1024


class ShardState(StrEnum):
    """Where a shard stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"


class Cut(msgspec.Struct, frozen=True):
    """A byte range of whole lines in an input file.

    `first_line` is the number in the file, from 1, of the first line of the range; `line_count` leaves blank lines out.
    `checksum` is that of `inputs.sum_of`, empty where none is known.
    """

    number: int
    first_line: int
    line_count: int
    byte_start: int
    byte_count: int
    checksum: str = ""


class Claim(msgspec.Struct, frozen=True):
    """Who works on what, for which time; a newer attempt makes every older one powerless."""

    batch_id: BatchId
    number: int
    attempt: int
    worker_id: WorkerId


class Progress(msgspec.Struct, frozen=True):
    """What is journalled of a shard so far."""

    completed: int = 0
    failed: int = 0
    usage: Usage = NO_USAGE


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed shard with all that is needed to run it."""

    claim: Claim
    cut: Cut

    @property
    def key(self) -> tuple[BatchId, int, int]:
        """What identifies this attempt in the answer of a renewal."""
        return (self.claim.batch_id, self.claim.number, self.claim.attempt)
