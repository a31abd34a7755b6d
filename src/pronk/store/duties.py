"""Whole-batch work (intake, finalizing), leased like a shard."""

from __future__ import annotations

import msgspec

from pronk.domain.batch import BatchStatus, Counts, LineError
from pronk.domain.errors import ClaimLostError, StoreOutageError
from pronk.domain.file import File
from pronk.domain.ids import BatchId, WorkerId
from pronk.domain.shard import Cut, Progress
from pronk.domain.usage import Usage
from pronk.store import rows, shares
from pronk.store.database import Database, Transaction
from pronk.store.errands import announce
from pronk.store.files import insert_file
from pronk.store.quotas import Quotas, add_tokens


class Duty(msgspec.Struct, frozen=True):
    """A claim on whole-batch work: `kind` is ``intake`` or ``finalize``."""

    batch_id: BatchId
    kind: str
    attempt: int
    worker_id: WorkerId


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What finalizing found: the result files and the final counts; `faults` when lines of the input were lost."""

    output: File | None
    errors: File | None
    counts: Counts
    usage: Usage
    faults: tuple[LineError, ...] = ()


class _ExcessError(Exception):
    """The batch has more requests than may wait: nothing of its start stays."""

    def __init__(self, error: LineError) -> None:
        super().__init__(error.message)
        self.error = error


class Duties:
    """The duty columns of batch rows."""

    def __init__(self, database: Database, quotas: Quotas) -> None:
        self._database = database
        self._quotas = quotas
        self._unheard: set[WorkerId] = set()

    async def claim(self, worker_id: WorkerId, *, now: float, until: float) -> Duty | None:
        """Take an intake or a finalizing that nobody holds.

        After an outage, when nobody knows whether the last call claimed something, this call gives what that one did.
        """
        unheard = worker_id if worker_id in self._unheard else None
        values = {"worker_id": worker_id, "now": now, "until": until, "unheard": unheard}
        try:
            row = await self._database.write(lambda tx: tx.one("claim_duty", **values))
        except StoreOutageError:
            self._unheard.add(worker_id)
            raise
        self._unheard.discard(worker_id)
        return Duty(row["id"], row["duty"], row["duty_attempt"], worker_id) if row else None

    async def renew(self, duty: Duty, *, until: float) -> None:
        """Keep a duty for longer; ClaimLostError when somebody else has it."""
        if not await self._database.write(lambda tx: tx.run("renew_duty", until=until, **_duty_values(duty))):
            raise ClaimLostError(f"{duty.kind} of {duty.batch_id}")

    async def release(self, duty: Duty) -> None:
        """Give a duty back unfinished."""
        await self._database.write(lambda tx: tx.run("release_duty", **_duty_values(duty)))

    async def start_batch(self, duty: Duty, cuts: list[Cut], *, model: str | None, now: int) -> None:
        """End an intake well: the shards exist and the batch is in progress, or ClaimLostError and neither.

        A batch with more requests than its project may have waiting fails instead.
        """

        def work(tx: Transaction) -> None:
            total = sum(cut.line_count for cut in cuts)
            values = {"total": total, "model": model, "shards": len(cuts), "now": now}
            row = tx.one("start_batch", **values, **_duty_values(duty))
            if row is None:
                raise ClaimLostError(f"intake of {duty.batch_id}")
            excess = self._quotas.find_excess(tx, row["project_id"], duty.batch_id, total)
            if excess is not None:
                raise _ExcessError(excess)
            tx.many("insert_shard", [{"batch_id": duty.batch_id, **_cut_values(cut)} for cut in cuts])
            shares.activate(tx, shares.flow_of(row))

        try:
            await self._database.write(work)
        except _ExcessError as over:
            await self.fail_batch(duty, [over.error], model=model, now=now)

    async def fail_batch(self, duty: Duty, errors: list[LineError], *, model: str | None, now: int) -> None:
        """End an intake whose file cannot be run."""
        values = {"errors": rows.to_json(errors), "model": model, "now": now}

        def work(tx: Transaction) -> None:
            if not tx.run("fail_batch", **values, **_duty_values(duty)):
                raise ClaimLostError(f"intake of {duty.batch_id}")
            _announce(tx, duty, (), now)

        await self._database.write(work)

    async def reopen(self, duty: Duty, shards: list[int]) -> None:
        """End a finalizing that cannot be done: these shards run again, or ClaimLostError and none does."""

        def work(tx: Transaction) -> None:
            for number in sorted(shards):
                tx.run("reopen_shard", batch_id=duty.batch_id, number=number)
            row = tx.one("reopen_batch", shards=len(shards), **_duty_values(duty))
            if row is None:
                raise ClaimLostError(f"finalizing of {duty.batch_id}")
            shares.activate(tx, shares.flow_of(row))

        await self._database.write(work)

    async def end_batch(self, duty: Duty, ending: Ending, *, now: int) -> BatchStatus:
        """End a finalizing: files, counts and the terminal status in one step."""

        def work(tx: Transaction) -> str:
            for file in (ending.output, ending.errors):
                if file is not None:
                    insert_file(tx, file)
            tx.run("delete_shards", batch_id=duty.batch_id)
            row = tx.one("end_batch", now=now, **_duty_values(duty), **_ending_values(ending))
            if row is None:
                raise ClaimLostError(f"finalizing of {duty.batch_id}")
            tokens = ending.usage.total_tokens
            if tokens:
                add_tokens(tx, row["project_id"], tokens, now)
            files = [file.id for file in (ending.output, ending.errors) if file is not None]
            _announce(tx, duty, tuple(files), now)
            return str(row["status"])

        return BatchStatus(await self._database.write(work))


def _announce(tx: Transaction, duty: Duty, files: tuple[str, ...], now: int) -> None:
    ended = tx.one("find_ended_batch", id=duty.batch_id)
    if ended is not None:
        announce(tx, ended, files, now)


def _duty_values(duty: Duty) -> dict[str, object]:
    return {"id": duty.batch_id, "attempt": duty.attempt, "worker_id": duty.worker_id}


def _cut_values(cut: Cut) -> dict[str, object]:
    return {name: getattr(cut, name) for name in cut.__struct_fields__}


def _ending_values(ending: Ending) -> dict[str, object]:
    progress = Progress(ending.counts.completed, ending.counts.failed, ending.usage)
    return {
        "output_file_id": ending.output.id if ending.output else None,
        "error_file_id": ending.errors.id if ending.errors else None,
        "errors": rows.to_json(ending.faults) if ending.faults else None,
        **rows.progress_values(progress),
    }
