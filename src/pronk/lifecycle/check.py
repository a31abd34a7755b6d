"""Preflight: what would come of a file of requests, without running any of them.

Its lines are checked as intake checks them; every distinct reference is looked at through the door that would read it.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

import anyio
import msgspec

from pronk.domain.batch import Batch, LineError
from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy
from pronk.domain.lines import decode_line
from pronk.domain.reference import Kind, shown
from pronk.domain.usage import Usage
from pronk.lifecycle.intake import Limits, Reading
from pronk.lifecycle.spool import Named, Spool
from pronk.media.looking import Seen
from pronk.media.refs import find_slots, names_media

AT_ONCE: Final = 256
"""References that are looked at at the same time; each store's own limit is in `media.lanes`."""

PIECE_BYTES: Final = 65_536
"""So much of a file is read before whatever else this process does gets its turn."""

MAX_PROBLEMS: Final = 100
_GB: Final = 1_000_000_000
_PIXELS_PER_TOKEN: Final = 28 * 28
"""What a token of a picture covers in the models that most people run; a picture of unknown size counts as a megapixel."""

_UNKNOWN_PIXELS: Final = 1_000_000
_CHARACTERS_PER_TOKEN: Final = 4


class Looking(Protocol):
    """The door to references."""

    async def look(self, text: str, kind: Kind, policy: MediaPolicy, /) -> Seen:
        """Return what a reference names. Raises MediaError."""


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one distinct reference; `line` is the first that names it."""

    reference: str
    kind: Kind
    line: int
    uses: int
    type: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    region: str | None = None
    code: str | None = None
    message: str | None = None


class Amount(msgspec.Struct):
    """Distinct references and their bytes, each object counted once because it is fetched once."""

    references: int = 0
    bytes: int = 0


class RegionAmount(Amount):
    """What lies in one region; `cost` is US dollars for bytes that cross to here."""

    crosses: bool = False
    cost: float = 0.0


class Report(msgspec.Struct, kw_only=True):
    """What was found. `input_tokens` and `input_cost` (US dollars) are estimates, the cost None without a price."""

    requests: int = 0
    errors: list[LineError] = []
    references: int = 0
    uses: int = 0
    readable: int = 0
    failed: dict[str, int] = {}
    problems: list[Looked] = []
    bytes: int = 0
    types: dict[str, Amount] = {}
    regions: dict[str, RegionAmount] = {}
    home_region: str = ""
    crossing_bytes: int = 0
    crossing_cost: float = 0.0
    input_tokens: int = 0
    input_cost: float | None = None

    @property
    def ok(self) -> bool:
        """Whether every line would reach the engine."""
        return not self.errors and not self.failed


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """Where this is, and what a gigabyte from another region costs in US dollars."""

    home_region: str
    price_per_gb: float


class Check:
    """Checks files, any number at the same time."""

    def __init__(self, door: Looking, limits: Limits, fees: Fees, *, at_once: int = AT_ONCE) -> None:
        self._door = door
        self._limits = limits
        self._fees = fees
        self._at_once = at_once

    async def __call__(
        self, batch: Batch, chunks: AsyncIterator[bytes], each: Callable[[Looked], Awaitable[object]]
    ) -> Report:
        """Return the report on a file as input of `batch`; `each` hears of every distinct reference."""
        report = Report(home_region=self._fees.home_region)
        with tempfile.TemporaryDirectory(prefix="pronk-check-") as folder, Spool(Path(folder)) as spool:
            lines = _Lines(batch, spool)
            reading = Reading(batch, self._limits, lines.take)
            await reading.read(_in_turns(chunks))
            report.errors, report.requests = reading.errors, reading.line_count
            report.uses, report.input_tokens = spool.uses, lines.characters // _CHARACTERS_PER_TOKEN
            await self._look_at_all(batch.job.media, spool, lambda looked: self._note(report, looked, each))
        if batch.job.price is not None:
            report.input_cost = batch.job.price.cost(Usage(input_tokens=report.input_tokens))
        report.problems.sort(key=lambda problem: problem.line)
        return report

    async def _look_at_all(
        self, policy: MediaPolicy, spool: Spool, note: Callable[[Looked], Awaitable[None]]
    ) -> None:
        send, receive = anyio.create_memory_object_stream[Named](self._at_once)

        async def look() -> None:
            async for named in receive:
                await note(await self._look(named, policy))

        async with receive, anyio.create_task_group() as group:
            for _ in range(min(self._at_once, spool.uses)):
                group.start_soon(look)
            async with send:
                for named in spool.distinct():
                    await send.send(named)

    async def _look(self, named: Named, policy: MediaPolicy) -> Looked:
        looked = Looked(reference=shown(named.text), kind=named.kind, line=named.line, uses=named.uses)
        try:
            seen = await self._door.look(named.text, named.kind, policy)
        except MediaError as error:
            return msgspec.structs.replace(looked, code=error.code, message=error.message)
        return msgspec.structs.replace(
            looked,
            type=seen.type,
            bytes=seen.bytes,
            width=seen.width or None,
            height=seen.height or None,
            region=seen.region,
        )

    async def _note(
        self, report: Report, looked: Looked, each: Callable[[Looked], Awaitable[object]]
    ) -> None:
        report.references += 1
        if looked.code is not None:
            report.failed[looked.code] = report.failed.get(looked.code, 0) + 1
            if len(report.problems) < MAX_PROBLEMS:
                report.problems.append(looked)
        else:
            self._count(report, looked)
        await each(looked)

    def _count(self, report: Report, looked: Looked) -> None:
        size = looked.bytes or 0
        report.readable += 1
        report.bytes += size
        if looked.type is not None:
            _add(report.types.setdefault(looked.type, Amount()), size)
        if looked.region is not None:
            _add(report.regions.setdefault(looked.region, self._region(looked.region)), size)
            self._charge(report, report.regions[looked.region], size)
        if looked.kind in {"image", "document"}:
            report.input_tokens += looked.uses * _picture_tokens(looked)

    def _region(self, region: str) -> RegionAmount:
        return RegionAmount(crosses=region != self._fees.home_region)

    def _charge(self, report: Report, region: RegionAmount, size: int) -> None:
        if region.crosses:
            cost = size / _GB * self._fees.price_per_gb
            region.cost += cost
            report.crossing_bytes += size
            report.crossing_cost += cost


class _Lines:
    """Takes the references out of good lines, and counts the characters that are no reference."""

    def __init__(self, batch: Batch, spool: Spool) -> None:
        self.characters = 0
        self._endpoint = batch.endpoint
        self._spool = spool

    def take(self, number: int, line: bytes) -> None:
        body = bytes(decode_line(line).body)
        self.characters += len(body)
        if not names_media(body):
            return
        for slot in find_slots(body, self._endpoint):
            self.characters -= slot.end - slot.start
            self._spool.add(slot.text, slot.kind, number)


async def _in_turns(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a file in small pieces, and let others go on between them."""
    async for chunk in chunks:
        for start in range(0, len(chunk), PIECE_BYTES):
            yield chunk[start : start + PIECE_BYTES]
            await anyio.lowlevel.checkpoint()


def _add(amount: Amount, size: int) -> None:
    amount.references += 1
    amount.bytes += size


def _picture_tokens(looked: Looked) -> int:
    pixels = (looked.width or 0) * (looked.height or 0) or _UNKNOWN_PIXELS
    return -(-pixels // _PIXELS_PER_TOKEN)
