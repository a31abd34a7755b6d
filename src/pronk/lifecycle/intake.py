"""Intake: read an uploaded file once, check every line, and cut it into shards."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Callable

import msgspec
import structlog

from pronk.blobs import Blobs
from pronk.domain.batch import Batch, LineError
from pronk.domain.errors import InputLostError
from pronk.domain.lines import BOM
from pronk.domain.shard import MAX_BYTES, MAX_LINES, Cut
from pronk.inputs import checked, line_sum, sum_of
from pronk.lifecycle.check_line import LineCheck
from pronk.settings import Settings
from pronk.store.duties import Duty
from pronk.store.store import Store
from pronk.store.workers import LIVING_SECONDS

log = structlog.get_logger()

MAX_ERRORS = 100
MIN_LINES = 16
SHARDS_OF_WORKER = 4
FEW, MANY = 16, 64
"""A batch is cut so often for each living worker where its lines allow, so that they share its end: at least into a few
shards, for workers to come, at most into many, because a shard costs as much as some twenty lines."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch may hold; bytes are those of a line without its newline."""

    max_lines: int = 50_000
    max_line_bytes: int = 32_000_000
    max_embedding_inputs: int = 50_000

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return what the settings say."""
        return cls(**{name: getattr(settings, name) for name in cls.__struct_fields__})


class Intake:
    """Does the duty ``intake``."""

    def __init__(self, store: Store, blobs: Blobs, limits: Limits, *, now: Callable[[], float]) -> None:
        self._store = store
        self._blobs = blobs
        self._limits = limits
        self._now = now

    async def __call__(self, duty: Duty) -> None:
        """Start the batch, or fail it with its findings. Raises ClaimLostError."""
        batch = await self._store.batches.get(None, duty.batch_id)
        file = await self._store.files.get(batch.project_id, batch.input_file_id, now=0)
        reading = Reading(batch, self._limits)
        errors = await _read(reading, checked(self._blobs.stream(file.blob), file))
        now = int(self._now())
        if errors:
            await self._store.duties.fail_batch(duty, errors, model=reading.model, now=now)
        else:
            workers = await self._store.workers.count(since=self._now() - LIVING_SECONDS)
            cuts = reading.cuts(max(FEW, min(MANY, SHARDS_OF_WORKER * workers)))
            await self._store.duties.start_batch(duty, cuts, model=reading.model, now=now)


async def _read(reading: Reading, chunks: AsyncIterator[bytes]) -> list[LineError]:
    """Return the findings; a file that is not what was uploaded has no others."""
    try:
        await reading.read(chunks)
    except InputLostError as lost:
        log.error("input_lost", code=lost.code, message=lost.message)  # noqa: TRY400  # no trace needed
        return [LineError(code=lost.code, message=lost.message)]
    return reading.errors


class Reading:
    """One pass over a file: findings, and where each request line lies. Memory grows by 24 bytes and an id a line.

    `each` hears of every line without findings, with its number.
    """

    def __init__(
        self, batch: Batch, limits: Limits, each: Callable[[int, bytes], None] | None = None
    ) -> None:
        self.errors: list[LineError] = []
        self._each = each
        self._limits = limits
        self._check = LineCheck(batch, limits.max_embedding_inputs)
        self._starts = array("Q")
        self._ends = array("Q")
        self._numbers = array("L")
        self._sums = array("I")
        self._position = 0
        self._number = 0

    @property
    def model(self) -> str | None:
        """The model of the file's first request."""
        return self._check.model

    @property
    def line_count(self) -> int:
        """How many request lines were seen."""
        return len(self._starts)

    async def read(self, chunks: AsyncIterator[bytes]) -> None:
        """Read the file; stop early when there is no point in going on."""
        rest, is_skipping = b"", False
        async for chunk in _without_bom(chunks):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line, is_cut=is_skipping)
                is_skipping = False
            if len(rest) > self._limits.max_line_bytes:
                if not is_skipping:
                    self._report_length(self._number + 1)
                self._position += len(rest)
                rest, is_skipping = b"", True
            if self._is_hopeless():
                break
        else:
            self._take(rest, is_cut=is_skipping)
        self._conclude()

    def cuts(self, wanted: int) -> list[Cut]:
        """Return the shards, so many where lines allow: contiguous lines, bounded in number and bytes."""
        target = max(MIN_LINES, min(MAX_LINES, -(-len(self._starts) // wanted)))
        cuts: list[Cut] = []
        first = 0
        for index in range(1, len(self._starts) + 1):
            if index == len(self._starts) or self._is_full(first, index, target):
                cuts.append(self._cut(len(cuts), first, index))
                first = index
        return cuts

    def _is_full(self, first: int, index: int, target: int) -> bool:
        return index - first >= target or self._ends[index] - self._starts[first] > MAX_BYTES

    def _cut(self, number: int, first: int, after: int) -> Cut:
        start = self._starts[first]
        size = self._ends[after - 1] - start
        return Cut(number, self._numbers[first], after - first, start, size, sum_of(self._sums[first:after]))

    def _take(self, line: bytes, *, is_cut: bool) -> None:
        """Check one line; `is_cut` when its beginning was thrown away for its length."""
        self._number += 1
        start = self._position
        self._position += len(line) + 1
        if is_cut or not line or line.isspace():
            return
        if len(line) > self._limits.max_line_bytes:
            self._report_length(self._number)
            return
        self._starts.append(start)
        self._ends.append(start + len(line))
        self._numbers.append(self._number)
        self._sums.append(line_sum(line))
        findings = self._check(self._number, line)
        self.errors += findings
        if self._each is not None and not findings:
            self._each(self._number, line)

    def _report_length(self, number: int) -> None:
        limit = self._limits.max_line_bytes
        message = f"The line is longer than {limit:,} bytes; reference images instead of embedding them."
        self.errors.append(LineError(code="line_too_long", message=message, line=number))

    def _is_hopeless(self) -> bool:
        return len(self.errors) >= MAX_ERRORS or len(self._starts) > self._limits.max_lines

    def _conclude(self) -> None:
        if len(self._starts) > self._limits.max_lines:
            message = f"The file holds more than {self._limits.max_lines:,} requests; split it into several batches."
            self.errors.append(LineError(code="too_many_tasks", message=message))
        if not self._starts and not self.errors:
            message = "The file holds no requests; each line has to be one JSON object."
            self.errors.append(LineError(code="empty_file", message=message))
        self.errors += self._check.conclude()
        del self.errors[MAX_ERRORS:]


async def _without_bom(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield chunks; a byte order mark becomes blanks, so that every offset stays true."""
    is_first = True
    async for chunk in chunks:
        yield b"   " + chunk[3:] if is_first and chunk.startswith(BOM) else chunk
        is_first = False
