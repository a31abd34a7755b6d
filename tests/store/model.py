"""What the store should do, as plainly as it can be said: one thing at a time, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from pronk.domain.batch import TERMINAL

LEASE = 30


@dataclass
class ShardModel:
    state: str = "pending"
    attempt: int = 0
    worker: str = ""
    until: float = 0
    completed: int = 0


@dataclass
class BatchModel:
    shards: list[ShardModel]
    expires_at: int | None
    status: str = "in_progress"
    has_expired: bool = False
    duty_attempt: int = 1
    duty_worker: str = ""
    duty_until: float = 0

    @property
    def running(self) -> int:
        return sum(shard.state == "running" for shard in self.shards)

    @property
    def pending(self) -> int:
        return sum(shard.state == "pending" for shard in self.shards)

    @property
    def completed(self) -> int:
        return sum(shard.completed for shard in self.shards)

    @property
    def can_be_claimed(self) -> bool:
        return self.status == "in_progress" and self.pending > 0


@dataclass
class Model:
    batches: dict[str, BatchModel] = field(default_factory=dict)

    def claimable(self) -> set[tuple[str, int]]:
        """Return what may be claimed: the first waiting shard of each batch that runs."""
        return {
            (batch_id, [shard.state for shard in batch.shards].index("pending"))
            for batch_id, batch in self.batches.items()
            if batch.can_be_claimed
        }

    def claim(self, batch_id: str, number: int, worker: str, until: float) -> int:
        shard = self.batches[batch_id].shards[number]
        shard.state, shard.worker, shard.until = "running", worker, until
        shard.attempt += 1
        return shard.attempt

    def holds(self, batch_id: str, number: int, attempt: int, worker: str) -> ShardModel | None:
        """Return the shard of a claim that still counts."""
        batch = self.batches[batch_id]
        shard = batch.shards[number] if batch.shards else ShardModel()
        is_held = (shard.state, shard.attempt, shard.worker) == ("running", attempt, worker)
        return shard if is_held else None

    def finish(self, batch_id: str, shard: ShardModel, completed: int) -> bool:
        shard.state, shard.completed, shard.worker = "done", completed, ""
        batch = self.batches[batch_id]
        if batch.status == "in_progress" and not batch.pending and not batch.running:
            self._to_finalize(batch, "finalizing")
        return batch.status == "finalizing"

    def release(self, shard: ShardModel, completed: int) -> None:
        shard.state, shard.completed, shard.worker = "pending", completed, ""

    def reclaim(self, now: float) -> int:
        late = [
            shard
            for batch in self.batches.values()
            for shard in batch.shards
            if shard.state == "running" and shard.until <= now
        ]
        for shard in late:
            shard.state, shard.worker = "pending", ""
        return len(late)

    def lose(self, worker: str) -> int:
        """Free what a worker held that has ended; return how many shards."""
        shards = [shard for batch in self.batches.values() for shard in batch.shards]
        held = [shard for shard in shards if shard.state == "running" and shard.worker == worker]
        for shard in held:
            shard.state, shard.worker = "pending", ""
        for batch in self.batches.values():
            if batch.duty_worker == worker:
                batch.duty_worker, batch.duty_until = "", 0
        return len(held)

    def cancel(self, batch_id: str) -> bool:
        """Return False for a batch that has ended."""
        batch = self.batches[batch_id]
        if batch.status in {"in_progress", "finalizing"}:
            self._to_finalize(batch, "cancelling")
            batch.duty_attempt += 1
        return batch.status not in TERMINAL

    def expire(self, now: int) -> set[str]:
        over = {
            batch_id
            for batch_id, batch in self.batches.items()
            if batch.status == "in_progress" and batch.expires_at is not None and batch.expires_at <= now
        }
        for batch_id in over:
            self._to_finalize(self.batches[batch_id], "finalizing")
            self.batches[batch_id].has_expired = True
        return over

    def duties(self, now: float) -> set[str]:
        return {
            batch_id
            for batch_id, batch in self.batches.items()
            if batch.status in {"finalizing", "cancelling"} and batch.duty_until <= now and not batch.running
        }

    def claim_duty(self, batch_id: str, worker: str, until: float) -> int:
        batch = self.batches[batch_id]
        batch.duty_worker, batch.duty_until = worker, until
        batch.duty_attempt += 1
        return batch.duty_attempt

    def end(self, batch_id: str, attempt: int, worker: str) -> str | None:
        """Return how the batch ends, None when the duty was lost."""
        batch = self.batches[batch_id]
        is_held = (batch.duty_attempt, batch.duty_worker) == (attempt, worker)
        if batch.status not in {"finalizing", "cancelling"} or not is_held:
            return None
        if batch.status == "cancelling":
            batch.status = "cancelled"
        else:
            batch.status = "expired" if batch.has_expired else "completed"
        batch.shards = []
        return batch.status

    def _to_finalize(self, batch: BatchModel, status: str) -> None:
        batch.status, batch.duty_worker, batch.duty_until = status, "", 0
