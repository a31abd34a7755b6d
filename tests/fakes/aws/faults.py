"""Faults that tests order, and the latency of a distant store."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from tests.fakes.aws.refusals import RefusedError
from tests.fakes.http1 import POLITE, Manners, Reply


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong, and where: None matches every operation, bucket or key.

    The first `skip` matching requests are spared, then `times` of them meet it (None: all). `code` answers an
    error of the service instead of the object, `manners` spoils how the right answer leaves.
    """

    code: str | None = None
    manners: Manners | None = None
    operation: str | None = "GetObject"
    bucket: str | None = None
    key: str | None = None
    times: int | None = 1
    skip: int = 0
    retry_after: int | None = None
    met: int = 0

    def is_due(self, operation: str, bucket: str, key: str) -> bool:
        """Whether this request meets the fault; counts it when it matches."""
        wanted = ((self.operation, operation), (self.bucket, bucket), (self.key, key))
        if any(want is not None and want != is_ for want, is_ in wanted):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None and self.met >= self.times:
            return False
        self.met += 1
        return True

    def apply(self, reply: Reply) -> Reply:
        """Return what leaves instead of `reply`."""
        if self.code is not None:
            hint = () if self.retry_after is None else (("retry-after", str(self.retry_after)),)
            reply = RefusedError(self.code, "Please reduce your request rate.", headers=hint).reply()
        return reply if self.manners is None else reply.with_manners(self.manners)


@dataclass(slots=True, kw_only=True)
class Latency:
    """Time to the first byte: `seconds` for most, `straggler_seconds` for a share of requests drawn with `chance`."""

    seconds: float = 0.0
    straggler_share: float = 0.0
    straggler_seconds: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def delay(self) -> float:
        """Return the next request's wait in seconds."""
        if self.straggler_share and self.chance.random() < self.straggler_share:
            return self.straggler_seconds
        return self.seconds

    def apply(self, reply: Reply) -> Reply:
        """Return `reply`, leaving later; what is rude already only gets slower."""
        delay = self.delay()
        if not delay:
            return reply
        manners = reply.manners
        return reply.with_manners(replace(manners, first_byte_after=manners.first_byte_after + delay))


RESET = Manners(cut_after=-1, ending="reset")
HANG_UP = Manners(cut_after=-1, ending="close")
SILENT = Manners(cut_after=-1, ending="stall")
GARBAGE = Manners(instead=b"\x16\x03\x01\x02\x00 this is not HTTP \r\n\r\n")

__all__ = ["GARBAGE", "HANG_UP", "POLITE", "RESET", "SILENT", "Fault", "Latency"]
