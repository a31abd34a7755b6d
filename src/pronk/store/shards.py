"""Shards and their leases; every lease is an UPDATE of its row, fenced by worker and attempt."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import groupby
from typing import NamedTuple

from pronk.domain.batch import Batch
from pronk.domain.errors import ClaimLostError, StoreOutageError
from pronk.domain.ids import BatchId, WorkerId, new_id
from pronk.domain.shard import Claim, Cut, Progress, Shard
from pronk.store import rows, shares
from pronk.store.database import Database, Row, Transaction, TryAgainError

PICKS = 8
"""How often a claim looks again when others took the last shard of the batch it had picked."""


class Shards:
    """Shard rows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unheard: dict[tuple[str, WorkerId], str] = {}
        self._claims = 0

    async def claim(
        self,
        pool: str,
        worker_id: WorkerId,
        *,
        until: float,
        beside: Collection[shares.Place] | None = None,
        workers: int = 1,
    ) -> tuple[Batch, Shard] | None:
        """Take the next shard of the batch whose turn it is in this pool.

        Every second claim looks at deadlines first, so that neither they nor fair shares can starve the other. With `beside`,
        the (priority, project) pairs of which the worker has enough, it takes one only when it is the turn of another project; how nearly
        depends on how many `workers` live.
        After an outage, when nobody knows whether the last call claimed something, this call gives what that one did.
        """
        ticket = self._unheard.get((pool, worker_id))
        is_sure = ticket is None
        taken = {"worker_id": worker_id, "until": until, "ticket": ticket or new_id("")}
        self._claims += beside is None
        turn = _Turn(self._claims % 2 == 1, beside, workers)

        def work(tx: Transaction) -> tuple[Row, Row] | None:
            known = None if is_sure else _find_ticket(tx, taken)
            return known or _claim(tx, pool, taken, turn)

        try:
            found = await self._database.write(work)
        except StoreOutageError:
            self._unheard[pool, worker_id] = str(taken["ticket"])
            raise
        self._unheard.pop((pool, worker_id), None)
        if found is None:
            return None
        batch, shard = found
        return rows.to_batch(batch), rows.to_shard(shard)

    async def renew(self, worker_id: WorkerId, *, until: float) -> dict[tuple[BatchId, int, int], bool]:
        """Keep every lease of a worker. The answer maps (batch, shard, attempt) it still holds to whether to go on."""
        found = await self._database.write(
            lambda tx: tx.all("renew_shards", worker_id=worker_id, until=until)
        )
        return {(row["batch_id"], row["number"], row["attempt"]): bool(row["wanted"]) for row in found}

    async def report(self, claims: Iterable[tuple[Claim, Progress]]) -> list[Claim]:
        """Write down what is journalled of shards; return the claims that are lost."""
        ordered = sorted(claims, key=lambda pair: (pair[0].batch_id, pair[0].number))

        def work(tx: Transaction) -> list[Claim]:
            return [
                claim
                for claim, progress in ordered
                if not tx.run("report_progress", **_report(claim, progress))
            ]

        return await self._database.write(work)

    async def finish(self, claim: Claim, progress: Progress, *, now: int) -> bool:
        """End a shard whose every line is journalled; return whether the batch is ready for finalizing."""

        def work(tx: Transaction) -> bool:
            shard = tx.one("finish_shard", **_report(claim, progress))
            if shard is None:
                raise ClaimLostError(f"shard {claim.number} of {claim.batch_id}")
            owed = shares.work_of(progress) - shard["charged"]
            values = {"id": claim.batch_id, "owed": owed, "line_work": shares.line_work_of(progress)}
            batch = tx.one("count_finish", now=now, **values)
            if batch is None:
                return False
            shares.charge(tx, shares.flow_of(batch), owed)
            return bool(batch["status"] == "finalizing")

        return await self._database.write(work)

    async def release(self, claim: Claim, progress: Progress) -> None:
        """Give a shard back unfinished. A claim that is lost needs no giving back."""

        def work(tx: Transaction) -> None:
            shard = tx.one("release_shard", **_report(claim, progress))
            if shard is not None:
                _count_release(tx, claim.batch_id, shards=1, owed=shares.work_of(progress) - shard["charged"])

        await self._database.write(work)

    async def reclaim(self, *, now: float) -> int:
        """Free the shards whose lease has run out; return how many."""

        def work(tx: Transaction) -> int:
            late = tx.all("find_late_shards", now=now)
            for row in late:
                tx.run("reclaim_shard", batch_id=row["batch_id"], number=row["number"])
            return _reclaim(tx, late)

        return await self._database.write(work)

    async def reclaim_of_worker(self, worker_id: WorkerId) -> int:
        """Free everything a worker held that was seen to end; return how many shards."""

        def work(tx: Transaction) -> int:
            freed = _reclaim(tx, tx.all("reclaim_of_worker", worker_id=worker_id))
            tx.run("reclaim_duty_of_worker", worker_id=worker_id)
            tx.run("forget_worker", id=worker_id)
            return freed

        return await self._database.write(work)

    async def disown(self, worker_id: WorkerId, keys: Iterable[tuple[BatchId, int, int]]) -> int:
        """Free claims, as (batch, shard, attempt), of which their worker knows nothing; return how many there were."""
        ordered = sorted(keys)

        def work(tx: Transaction) -> int:
            values = [dict(zip(("batch_id", "number", "attempt"), key, strict=True)) for key in ordered]
            found = [tx.one("disown_shard", worker_id=worker_id, **value) for value in values]
            return _reclaim(tx, [row for row in found if row is not None])

        return await self._database.write(work)

    async def of_batch(self, batch_id: BatchId) -> list[tuple[Cut, int, Progress]]:
        """Return the shards of a batch in input order: where they lie, their attempt, what is journalled."""
        found = await self._database.read(lambda tx: tx.all("list_shards", batch_id=batch_id))
        return [(rows.to_cut(row), row["attempt"], _progress(row)) for row in found]


class _Turn(NamedTuple):
    """How a claim finds its batch."""

    is_for_deadlines: bool
    beside: Collection[shares.Place] | None
    workers: int

    def pick(self, tx: Transaction, pool: str) -> str | None:
        if self.beside is not None:
            return shares.pick_beside(tx, pool, self.beside, workers=self.workers)
        return shares.pick(tx, pool, is_for_deadlines=self.is_for_deadlines)


def _claim(tx: Transaction, pool: str, taken: dict[str, object], turn: _Turn) -> tuple[Row, Row] | None:
    """Claim for batch and shard alike, or for neither."""
    for _ in range(PICKS):
        batch_id = turn.pick(tx, pool)
        if batch_id is None:
            return None
        shard = tx.one("claim_shard", batch_id=batch_id, line_extra=shares.LINE_EXTRA, **taken)
        if shard is not None:
            return _pay(tx, shard), shard
    return None


def _pay(tx: Transaction, shard: Row) -> Row:
    work = shard["charged"] - shares.work_of(_progress(shard))
    batch = tx.one("count_claim", id=shard["batch_id"], work=work)
    if batch is None:
        raise TryAgainError(f"batch {shard['batch_id']} was stopped while a shard of it was claimed")
    shares.charge(tx, shares.flow_of(batch), work)
    return batch


def _find_ticket(tx: Transaction, taken: dict[str, object]) -> tuple[Row, Row] | None:
    shard = tx.one("find_ticket", worker_id=taken["worker_id"], ticket=taken["ticket"])
    batch = tx.one("get_claimed_batch", id=shard["batch_id"]) if shard else None
    return (batch, shard) if batch and shard else None


def _reclaim(tx: Transaction, freed: list[Row]) -> int:
    by_batch = sorted(freed, key=lambda row: row["batch_id"])
    for batch_id, group in groupby(by_batch, key=lambda row: row["batch_id"]):
        owed = [shares.work_of(_progress(row)) - row["charged"] for row in group]
        _count_release(tx, batch_id, shards=len(owed), owed=sum(owed))
    return len(freed)


def _count_release(tx: Transaction, batch_id: BatchId, *, shards: int, owed: int) -> None:
    batch = tx.one("count_release", id=batch_id, shards=shards, owed=owed)
    if batch is None:
        return
    flow = shares.flow_of(batch)
    if batch["status"] == "in_progress":
        shares.activate(tx, flow)
    shares.charge(tx, flow, owed)


def _progress(row: Row) -> Progress:
    return Progress(row["completed"], row["failed"], rows.to_usage(row))


def _report(claim: Claim, progress: Progress) -> dict[str, object]:
    return {**rows.claim_values(claim), **rows.progress_values(progress)}
