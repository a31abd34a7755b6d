"""Finalizing: the parts of all shards become the output file and the error file, in input order, each line once."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import anyio
import msgspec
import structlog

from pronk.blobs import Blobs, BlobWriter
from pronk.domain.batch import Batch, BatchStatus, Counts, LineError
from pronk.domain.errors import InputLostError, RequestError
from pronk.domain.file import BATCH_OUTPUT, File
from pronk.domain.ids import FileId
from pronk.domain.lines import ResultHead, decode_line, error_line, numbered_lines
from pronk.domain.shard import Cut, Progress
from pronk.domain.usage import NO_USAGE
from pronk.inputs import read_cut
from pronk.journal import Journal, Mark, sum_marks
from pronk.lifecycle.facts import encode_facts, facts_blob
from pronk.store.duties import Duty, Ending
from pronk.store.store import Store

log = structlog.get_logger()

WRITE_BYTES = 4 * 1024 * 1024
MAX_FAULTS = 100
MAX_ATTEMPTS = 5
"""Attempts of a shard after which answers that were lost with their parts are not asked for again."""


class Finalize:
    """Does the duty ``finalize``. Whatever is interrupted starts anew and comes to the same files."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        *,
        now: Callable[[], float],
        new_file_id: Callable[[], FileId],
        retention_seconds: int,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._journal = Journal(blobs)
        self._now = now
        self._new_file_id = new_file_id
        self._retention_seconds = retention_seconds

    async def __call__(self, duty: Duty) -> None:
        """Write the result files and end the batch. Raises ClaimLostError.

        A batch whose answers were lost with their parts does not end: the shards that lack them run again, a few times at most.
        """
        batch = await self._store.batches.get(None, duty.batch_id)
        try:
            ending = await self._written(batch)
        except _PartsLostError as error:
            log.error("answers_lost", batch=batch.id, shards=error.shards)  # noqa: TRY400  # no trace needed
            await self._store.duties.reopen(duty, error.shards)
            return
        with anyio.CancelScope(shield=True):
            # Once it has ended the duty is nobody's: the next renewal finds it lost and would stop the tidying up.
            await self._store.duties.end_batch(duty, ending, now=int(self._now()))
            await self._journal.drop(duty.batch_id)

    async def _written(self, batch: Batch) -> Ending:
        """Write the result files, or leave none. Raises _PartsLostError."""
        lost: list[InputLostError] = []
        output, errors = self._file(batch, "output"), self._file(batch, "error")
        progress = Progress()
        async with AsyncExitStack() as stack:
            answered, failed = (
                _Sheet(self._blobs, output.blob, stack),
                _Sheet(self._blobs, errors.blob, stack),
            )
            facts = _Sheet(self._blobs, facts_blob(batch.id), stack)
            async for marks, good, bad in self._shards(batch, lost):
                progress = _add(progress, sum_marks(iter(marks)))
                await answered.write(good)
                await failed.write(bad)
                await facts.write([encode_facts(marks)])
            await answered.close()
            await failed.close()
            await facts.close()
        return Ending(
            output=answered.as_file(output),
            errors=failed.as_file(errors),
            counts=Counts(batch.counts.total, progress.completed, batch.counts.total - progress.completed),
            usage=progress.usage,
            faults=tuple(
                LineError(code=each.code, message=each.message, line=each.line) for each in lost[:MAX_FAULTS]
            ),
        )

    async def _shards(
        self, batch: Batch, lost: list[InputLostError]
    ) -> AsyncIterator[tuple[list[Mark], list[bytes], list[bytes]]]:
        """Yield each shard's marks, answers and failures, in input order.

        What never ran of a shard whose input is lost has no line, because nobody can tell its custom_id; it is noted in `lost`.
        """
        to_run_again: list[int] = []
        file = await self._store.files.get(batch.project_id, batch.input_file_id, now=0)
        for cut, attempt, _ in await self._store.shards.of_batch(batch.id):
            found = await self._journal.read(batch.id, cut.number)
            if len(found) < cut.line_count:
                if _has_run_whole(batch) and attempt < MAX_ATTEMPTS:
                    to_run_again.append(cut.number)
                try:
                    await self._fill(batch, file, cut, found)
                except InputLostError as error:
                    log.error("input_lost", batch=batch.id, file=file.id, code=error.code, line=error.line)  # noqa: TRY400
                    lost.append(error)
            ordered = [found[line] for line in sorted(found)]
            good = [text for mark, text in ordered if mark.code is None]
            bad = [text for mark, text in ordered if mark.code is not None]
            yield [mark for mark, _ in ordered], good, bad
        if to_run_again:
            raise _PartsLostError(to_run_again)

    async def _fill(self, batch: Batch, file: File, cut: Cut, found: dict[int, tuple[Mark, bytes]]) -> None:
        """Give a line to each request that has none."""
        error = _why_unanswered(batch)
        data = await read_cut(self._blobs, file, cut)
        for line, text in numbered_lines(data, cut.first_line):
            if line in found:
                continue
            result = error_line(ResultHead(batch.id, line, decode_line(text).custom_id), error)
            found[line] = (Mark(line, len(result), error.code, NO_USAGE), result)

    def _file(self, batch: Batch, kind: str) -> File:
        file_id, now = self._new_file_id(), int(self._now())
        return File(
            id=file_id,
            project_id=batch.project_id,
            purpose=BATCH_OUTPUT,
            filename=f"{batch.id}_{kind}.jsonl",
            bytes=0,
            blob=f"files/{file_id}",
            created_at=now,
            expires_at=now + (batch.output_expires_after_seconds or self._retention_seconds),
        )


class _PartsLostError(Exception):
    """Lines of these shards had answers that are not in the journal any more."""

    def __init__(self, shards: list[int]) -> None:
        super().__init__(shards)
        self.shards = shards


class _Sheet:
    """A result file that is opened with its first line and written in large pieces."""

    def __init__(self, blobs: Blobs, name: str, stack: AsyncExitStack) -> None:
        self._blobs = blobs
        self._name = name
        self._stack = stack
        self._writer: BlobWriter | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._digest = hashlib.sha256()
        self.bytes = 0

    async def write(self, lines: list[bytes]) -> None:
        self._held += lines
        self._held_bytes += sum(map(len, lines))
        if self._held_bytes >= WRITE_BYTES:
            await self.close()

    async def close(self) -> None:
        """Write what is held."""
        if not self._held:
            return
        if self._writer is None:
            self._writer = await self._stack.enter_async_context(self._blobs.writer(self._name))
        data = b"".join(self._held)
        self._digest.update(data)
        await self._writer.write(data)
        self.bytes += self._held_bytes
        self._held, self._held_bytes = [], 0

    def as_file(self, file: File) -> File | None:
        """Return the file's row, None when no line was written."""
        if not self.bytes:
            return None
        return msgspec.structs.replace(file, bytes=self.bytes, sha256=self._digest.hexdigest())


def _has_run_whole(batch: Batch) -> bool:
    """Whether every line was answered once: neither cancelled, nor stopped, nor at the end of its window."""
    return batch.status is BatchStatus.FINALIZING and not batch.has_expired and not batch.errors


def _why_unanswered(batch: Batch) -> RequestError:
    if batch.errors:
        first = batch.errors[0]
        return RequestError(first.code, f"The batch was stopped before this request ran: {first.message}")
    if batch.has_expired:
        message = f"The batch's completion window of {batch.completion_window} ended before this request ran."
        return RequestError("batch_expired", message)
    if batch.status is BatchStatus.CANCELLING:
        return RequestError("batch_cancelled", "The batch was cancelled before this request ran.")
    return RequestError(
        "internal_error", "The journalled result of this line was lost or damaged.", retriable=True
    )


def _add(one: Progress, other: Progress) -> Progress:
    return Progress(one.completed + other.completed, one.failed + other.failed, one.usage + other.usage)
