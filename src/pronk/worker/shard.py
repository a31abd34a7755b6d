"""A shard that is being run: which lines are left, what is finished and not yet durable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import msgspec
from opentelemetry.trace import Span

from pronk.domain.batch import Batch
from pronk.domain.bodies import defaults_of, merge_defaults
from pronk.domain.errors import RequestError
from pronk.domain.ids import BatchId
from pronk.domain.lines import ResultHead, decode_line, numbered_lines
from pronk.domain.shard import Progress, Shard
from pronk.journal import Journal, Mark, Part, sum_marks
from pronk.worker.lease import Lease
from pronk.worker.measured import count_part
from pronk.worker.patience import patiently
from pronk.worker.ports import ResolvedPort


class Request(msgspec.Struct, eq=False):
    """One request line on its way. `resolved` or `error` is set once its references are dealt with; `span` only for traces."""

    shard: OpenShard
    head: ResultHead
    url: str
    body: bytes
    resolved: ResolvedPort | None = None
    error: RequestError | None = None
    fetch_seconds: float = 0.0
    span: Span | None = None

    def close(self) -> None:
        """Give back what it holds."""
        if self.resolved is not None:
            self.resolved.close()
            self.resolved = None


class OpenShard:
    """One attempt at a shard. Results go in by `put`; `flush` makes them durable."""

    def __init__(
        self, batch: Batch, shard: Shard, journal: Journal, on_full: Callable[[OpenShard], None]
    ) -> None:
        self.batch = batch
        self.claim = shard.claim
        self.cut = shard.cut
        self.is_stopped = self.is_lost = False
        self.goes_first = False
        self.lease: Lease | None = None
        self.running: set[anyio.CancelScope] = set()
        self.left = shard.cut.line_count
        self.flush_bytes = 1024 * 1024
        self._journal = journal
        self._on_full = on_full
        self._part = Part()
        self._sequence = 0
        self._flushing = anyio.Lock()
        self._durable = Progress()

    @property
    def key(self) -> tuple[BatchId, int, int]:
        """What identifies this attempt in the answer of a renewal."""
        return (self.claim.batch_id, self.claim.number, self.claim.attempt)

    @property
    def is_held(self) -> bool:
        """Whether nobody else can have taken it over yet."""
        return self.lease is None or self.lease.holds

    @property
    def progress(self) -> Progress:
        """What is durable so far."""
        return self._durable

    @property
    def is_durable(self) -> bool:
        """Whether every line has a result that is durable."""
        return self._durable.completed + self._durable.failed >= self.cut.line_count

    @property
    def unflushed_bytes(self) -> int:
        """Finished and not yet durable."""
        return self._part.size

    async def recall(self) -> set[int]:
        """Read what earlier attempts journalled; those lines do not run again."""
        done, self._durable = await self._journal.progress(self.claim.batch_id, self.claim.number)
        self.left -= len(done)
        return done

    def requests(self, data: bytes, done: set[int]) -> Iterator[Request]:
        """Yield the requests of the shard's byte range that have no result yet."""
        defaults = defaults_of(self.batch.job)
        for line, text in numbered_lines(data, self.cut.first_line):
            if line in done:
                continue
            request = decode_line(text)
            head = ResultHead(self.batch.id, line, request.custom_id)
            yield Request(self, head, request.url, merge_defaults(bytes(request.body), defaults))

    def put(self, mark: Mark, line: bytes) -> None:
        """Take a finished line."""
        self._part.add(mark, line)
        self.left -= 1
        if self.left == 0 or self._part.size >= self.flush_bytes:
            self._on_full(self)

    async def flush(self) -> bool:
        """Make what is finished durable; return whether there was anything. Waits out an outage of the storage."""
        async with self._flushing:
            part, self._part = self._part, Part()
            if not part.marks:
                return False
            try:
                await patiently(lambda: self._append(part), doing="writing a journal part")
            except BaseException:
                part.absorb(self._part)
                self._part = part
                raise
            gained = sum_marks(iter(part.marks))
            count_part(part, gained)
            self._durable = Progress(
                self._durable.completed + gained.completed,
                self._durable.failed + gained.failed,
                self._durable.usage + gained.usage,
            )
            return True

    @contextmanager
    def stoppable(self, scope: anyio.CancelScope) -> Iterator[None]:
        """Let `stop` cancel a scope while it runs. Whoever enters has seen that the shard is not stopped."""
        self.running.add(scope)
        try:
            yield
        finally:
            self.running.discard(scope)

    def stop(self) -> None:
        """Abort what runs; nothing new of this shard is started."""
        self.is_stopped = True
        for scope in list(self.running):
            scope.cancel()

    async def _append(self, part: Part) -> None:
        """Use a name once only: after a failed write nobody knows what lies under it."""
        self._sequence += 1
        await self._journal.append(self.claim, self._sequence, part)
