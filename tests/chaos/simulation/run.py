"""One simulated run: one to three real workers on virtual time, batches, faults drawn from a seed, and what has to hold in the end.

Everything that a worker is made of is the program's own; only time, chance, the engine and what lies below database and
storage are the simulation's. So a seed is a run, and the same seed is the same run.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import msgspec
import pytest
import structlog
from tests.chaos.simulation.clock import StuckError, VirtualLoop, run_virtually
from tests.chaos.simulation.parts import Machine, Process, ProcessBlobs, ProcessDatabase, ProcessEngine
from tests.chaos.simulation.probes import Probes
from tests.worker.world import FakeMedia, request_line

from pronk.domain import ids
from pronk.domain.batch import MOVES, TERMINAL, Batch, BatchStatus
from pronk.domain.errors import ConflictError, OutageError
from pronk.domain.file import File
from pronk.domain.ids import DEFAULT_PROJECT, BatchId, WorkerId, new_batch_id, new_file_id, new_worker_id
from pronk.domain.job import DEFAULT_JOB, Job
from pronk.domain.retry import RetryPolicy
from pronk.every import every
from pronk.journal import decode_part
from pronk.lifecycle import intake
from pronk.lifecycle.finalize import Finalize
from pronk.lifecycle.intake import Intake, Limits
from pronk.lifecycle.reaper import Reaper
from pronk.store.store import Store
from pronk.worker import lane
from pronk.worker import runner as runner_module
from pronk.worker.lane import Lane
from pronk.worker.loop import Tuning, Worker
from pronk.worker.patience import postponing
from pronk.worker.runner import Runner

EPOCH = 1_000_000_000
LEASE = 3.0
TUNING = Tuning(
    lease_seconds=LEASE, heartbeat_seconds=0.4, flush_seconds=0.3, idle_seconds=0.4, grace_seconds=2.0
)
CALM = 60.0
"""Seconds within which every batch has ended after the last fault."""

TROUBLE = 6.0
"""Seconds during which there are faults, at most."""

FAULTS = ("kill", "stop", "cut off", "drain", "database", "storage", "engine", "rot", "cancel", "lose")


_LOOK = """
    SELECT status, shards_pending, shards_running, coalesce(total, 0) AS total,
        count(*) FILTER (WHERE shard.state = 'pending') AS pending,
        count(*) FILTER (WHERE shard.state = 'running') AS running,
        coalesce(sum(shard.completed + shard.failed), 0) AS answered
    FROM batch LEFT JOIN shard ON shard.batch_id = batch.id WHERE batch.id = :id GROUP BY batch.id
"""


class BrokenError(AssertionError):
    """Something does not hold that always has to."""


class Told(msgspec.Struct):
    """What is known of one batch of a run from outside."""

    custom_ids: list[str]
    refused: int
    file: File
    durable_at: dict[str, float] = msgspec.field(default_factory=dict)
    asked: Counter[str] = msgspec.field(default_factory=Counter)
    status: BatchStatus = BatchStatus.VALIDATING
    answered: int = 0
    rotten: bool = False
    lost: bool = False


class Run:
    """The run of one seed."""

    def __init__(self, seed: int, loop: VirtualLoop, probes: Probes) -> None:
        self.dice = Random(seed)
        self.probes = probes
        self.machine = Machine(self.dice, lambda: EPOCH + loop.time(), probes)
        self.machine.stored = self._stored
        self.machine.asked = self._asked
        self.store = Store(ProcessDatabase(_calm(self.machine)))
        self.told: dict[BatchId, Told] = {}
        self.processes: list[Process] = []
        self._is_calm = False
        self._claimed_at: dict[tuple[str, str], float] = {}
        self._by_line: dict[str, BatchId] = {}

    async def main(self) -> None:
        """Run it. Raises BrokenError or TimeoutError."""
        await self.store.open(now=EPOCH)
        async with anyio.create_task_group() as group:
            for number in range(self.dice.choice((1, 2, 2, 3))):
                group.start_soon(self._live, number)
            group.start_soon(self._watch)
            await self._trouble(group)
            with anyio.fail_after(CALM):
                while not await self._have_ended():  # noqa: ASYNC110  # time costs nothing here
                    await anyio.sleep(0.3)
            group.cancel_scope.cancel()
        await self._check()

    # Trouble

    async def _trouble(self, group: anyio.abc.TaskGroup) -> None:
        """Add batches and let things go wrong; which kinds do is drawn for each run."""
        dice, machine = self.dice, self.machine
        kinds = [kind for kind in FAULTS if dice.random() < 0.4]
        machine.lost_answers = dice.choice((0.0, 0.0, 0.02, 0.1))
        machine.engine_faults = dice.choice((0.0, 0.1, 0.3))
        self._is_calm = not kinds and machine.lost_answers == machine.engine_faults == 0
        for _ in range(dice.choice((1, 1, 2))):
            await self._add_batch()
        for _ in range(dice.randrange(1, 9) if kinds else 0):
            await anyio.sleep(TROUBLE / 8 * dice.random())
            kind = dice.choice(kinds)
            machine.note("fault", kind)
            self.probes.hit(f"fault: {kind}")
            await getattr(self, f"_{kind.replace(' ', '_')}")(group)
        machine.lost_answers = machine.engine_faults = 0.0
        for away in ("database_away_until", "storage_away_until", "engine_away_until"):
            setattr(machine, away, min(getattr(machine, away), machine.now() + 1))

    def _length(self) -> float:
        """Return how long a fault lasts: shorter and longer than a lease."""
        return LEASE * self.dice.choice((0.1, 0.5, 1.2, 2.0)) * self.dice.random()

    async def _kill(self, group: anyio.abc.TaskGroup) -> None:
        victim = self._victim()
        if victim is None:
            return
        victim.is_dead = True
        victim.scope.cancel()
        if self.dice.random() < 0.5:
            group.start_soon(self._bury, victim.worker_id)

    async def _bury(self, worker_id: WorkerId) -> None:
        """What the server does that saw a worker end."""
        await anyio.sleep(self.dice.random())
        with suppress(OutageError):
            freed = await self.store.shards.reclaim_of_worker(worker_id)
            self.probes.hit("death was seen, shards freed" if freed else "death was seen")

    async def _stop(self, _: anyio.abc.TaskGroup) -> None:
        victim = self._victim()
        if victim is not None:
            victim.stopped_until = self.machine.now() + self._length()

    async def _cut_off(self, _: anyio.abc.TaskGroup) -> None:
        victim = self._victim()
        if victim is not None:
            victim.cut_off_until = self.machine.now() + self._length()

    async def _drain(self, _: anyio.abc.TaskGroup) -> None:
        victim = self._victim()
        if victim is not None:
            victim.draining.set()

    async def _database(self, _: anyio.abc.TaskGroup) -> None:
        self.machine.database_away_until = self.machine.now() + self._length()

    async def _storage(self, _: anyio.abc.TaskGroup) -> None:
        self.machine.storage_away_until = self.machine.now() + self._length()

    async def _engine(self, _: anyio.abc.TaskGroup) -> None:
        self.machine.engine_away_until = self.machine.now() + self._length()

    async def _rot(self, _: anyio.abc.TaskGroup) -> None:
        """Change a byte of a part."""
        parts = sorted(name for name in self.machine.blobs if name.startswith("journals/"))
        if not parts:
            return
        name = self.dice.choice(parts)
        data = bytearray(self.machine.blobs[name])
        data[self.dice.randrange(len(data))] ^= 1
        told = self.told[BatchId(name.split("/")[1])]
        told.rotten = True
        with suppress(ValueError):  # one that is damaged already
            for line in _lines_of(self.machine.blobs[name]):
                told.durable_at.pop(line, None)
        self.machine.blobs[name] = bytes(data)

    async def _lose(self, _: anyio.abc.TaskGroup) -> None:
        """Take an input file away, now and then; it ends its batch."""
        if self.dice.random() < 0.3:
            told = self.told[self.dice.choice(sorted(self.told))]
            told.lost |= self.machine.blobs.pop(told.file.blob, None) is not None

    async def _cancel(self, _: anyio.abc.TaskGroup) -> None:
        batch_id = self.dice.choice(sorted(self.told))
        with suppress(ConflictError):
            await self.store.batches.cancel(DEFAULT_PROJECT, batch_id, now=int(self.machine.now()))
            self.probes.hit("cancelled")

    def _victim(self) -> Any:
        living = [process for process in self.processes if not process.is_dead]
        return self.dice.choice(living) if living else None

    # Batches

    async def _add_batch(self) -> None:
        dice, machine = self.dice, self.machine
        first, count = len(self._by_line) + 1, dice.randrange(4, 16)
        refused = {number for number in range(first, first + count) if dice.random() < 0.1}
        lines = [
            request_line(number, model="refused" if number in refused else "m")
            for number in range(first, first + count)
        ]
        now, data, file_id = int(machine.now()), b"".join(lines), new_file_id()
        machine.blobs[f"files/{file_id}"] = data
        file = File(
            id=file_id,
            project_id=DEFAULT_PROJECT,
            purpose="batch",
            filename="in.jsonl",
            bytes=len(data),
            blob=f"files/{file_id}",
            created_at=now,
        )
        await self.store.files.add(file)
        window = dice.choice((None, None, None, 4, 10))
        batch = Batch(
            id=new_batch_id(),
            project_id=DEFAULT_PROJECT,
            status=BatchStatus.VALIDATING,
            endpoint="/v1/chat/completions",
            input_file_id=file_id,
            completion_window="unlimited" if window is None else f"{window}s",
            expires_at=None if window is None else now + window,
            job=Job(id=DEFAULT_JOB),
            created_at=now,
        )
        custom_ids = [f"r-{number}" for number in range(first, first + count)]
        self.told[batch.id] = Told(custom_ids, len(refused), file)
        self._by_line |= dict.fromkeys(custom_ids, batch.id)
        await self.store.batches.add(batch)

    async def _have_ended(self) -> bool:
        found = [await self.store.batches.get(None, batch_id) for batch_id in self.told]
        return all(batch.is_terminal for batch in found)

    # Workers

    async def _live(self, number: int) -> None:
        """Be one worker process after the other."""
        lives = 0
        while True:
            lives += 1
            process = _Living(f"w{number}.{lives}", self.machine, new_worker_id())
            self.processes.append(process)
            with anyio.CancelScope() as process.scope:
                await self._work(process)
            process.is_dead = True
            self.processes.remove(process)
            await anyio.sleep(2 * self.dice.random())

    async def _work(self, process: _Living) -> None:
        store, blobs = Store(ProcessDatabase(process)), ProcessBlobs(process)
        self._hear_claims(process, store)
        engine: Any = ProcessEngine(process)
        media: Any = FakeMedia()
        policy = RetryPolicy(max_tries=50, max_delay=1.0)
        runner = Runner(engine, media, policy, chance=self.dice.random, sleep=anyio.sleep)
        now = self.machine.now
        duties: Any = {
            "intake": Intake(store, blobs, Limits(), now=now),
            "finalize": Finalize(store, blobs, now=now, new_file_id=new_file_id, retention_seconds=86_400),
        }
        lanes = {"default": Lane(engine, runner, fetchers=1)}
        worker = _Mortal(
            store,
            blobs,
            lanes,
            duties,
            worker_id=process.worker_id,
            host="here",
            now=now,
            tuning=TUNING,
        )
        worker.process = process
        reap = postponing(Reaper(store, blobs, now=now).run_once, doing="reaping")
        async with anyio.create_task_group() as group:
            group.start_soon(partial(every, 2.0, reap, name="reaper"))
            await worker.run(process.draining)
            group.cancel_scope.cancel()

    def _hear_claims(self, process: _Living, store: Store) -> None:
        claim = store.shards.claim

        async def heard(*arguments: Any, **named: Any) -> Any:
            began_at = self.machine.now()
            found = await claim(*arguments, **named)
            if found is not None:
                batch, shard = found
                self.machine.note(process.name, "claimed", shard.claim.number, shard.claim.attempt)
                ids_of = self.told[batch.id].custom_ids
                first = shard.cut.first_line - 1
                for custom_id in ids_of[first : first + shard.cut.line_count]:
                    self._claimed_at[process.name, custom_id] = began_at
            return found

        store.shards.claim = heard  # type: ignore[method-assign]

    # What always holds

    def _stored(self, name: str, data: bytes) -> None:
        if not name.startswith("journals/"):
            return
        told = self.told[BatchId(name.split("/")[1])]
        if self._is_being_written(BatchId(name.split("/")[1])):
            self.probes.hit("a part came after its batch's end")
            return
        for line in _lines_of(data):
            if line in told.durable_at:
                self.probes.hit("a line is in two parts")
            told.durable_at.setdefault(line, self.machine.now())

    def _is_being_written(self, batch_id: BatchId) -> bool:
        """Whether the files of a batch are written or there: what a worker adds that lost its claim counts no more."""
        row = self.machine.connection.execute(_LOOK, {"id": batch_id}).fetchone()
        if row["status"] == BatchStatus.CANCELLING:
            return not row["running"]
        return row["status"] in {BatchStatus.FINALIZING, *TERMINAL}

    def _asked(self, process: Process, body: bytes) -> None:
        line = f"r-{msgspec.json.decode(body)['messages'][0]['content']}"
        told = self.told[self._by_line[line]]
        told.asked[line] += 1
        if told.asked[line] > 1:
            self.probes.hit("a line was sent again")
        self.machine.note(process.name, "sent", line)
        durable_at = told.durable_at.get(line)
        if durable_at is not None and durable_at < self._claimed_at[process.name, line]:
            raise BrokenError(f"{line} was journalled, and {process.name} sent it again")

    async def _watch(self) -> None:
        """Look at every batch again and again: no move that is not legal, counts that are those of the shards."""
        while True:
            await anyio.sleep(0.4)
            for batch_id, told in self.told.items():
                row = self.machine.connection.execute(_LOOK, {"id": batch_id}).fetchone()
                if row is not None:
                    self._look(told, row)

    def _look(self, told: Told, row: Any) -> None:
        status = BatchStatus(row["status"])
        if status is not told.status:
            self.machine.note("status", told.status, status)
            if not _leads(told.status, status):
                raise BrokenError(f"a batch went from {told.status} to {status}")
            told.status = status
        if (row["shards_pending"], row["shards_running"]) != (row["pending"], row["running"]):
            raise BrokenError(f"the batch counts other shards than there are: {dict(row)}")
        if row["answered"] > row["total"]:
            raise BrokenError(f"more lines are answered than there are: {dict(row)}")

    async def _check(self) -> None:
        """Compare what came out with what went in."""
        for batch_id, told in self.told.items():
            batch = await self.store.batches.get(None, batch_id)
            self.probes.hit(f"ended: {batch.status}")
            good, bad = self._lines(batch.output_file_id), self._lines(batch.error_file_id)
            found = [line["custom_id"] for line in (*good, *bad)]
            codes = Counter((line["error"] or {}).get("code", "answered") for line in bad)
            for code in codes:
                self.probes.hit(f"line failed: {code}")
            if batch.status is BatchStatus.CANCELLED and not batch.counts.total:
                self._expect(batch, found == [], "lines of a batch that never ran")
                continue
            if told.lost:
                self._check_kept(batch, told, found)
                continue
            self._expect(batch, sorted(found) == sorted(told.custom_ids), f"lines {found}")
            for lines in (good, bad):
                numbers = [int(line["custom_id"][2:]) for line in lines]
                self._expect(batch, numbers == sorted(numbers), "the order of lines")
            counts = (batch.counts.total, batch.counts.completed, batch.counts.failed)
            self._expect(batch, counts == (len(told.custom_ids), len(good), len(bad)), f"counts {counts}")
            if batch.status is BatchStatus.COMPLETED and not told.rotten:
                self._expect(batch, set(codes) <= {"answered"}, f"failures {codes}")
                self._expect(batch, codes["answered"] == told.refused, f"refusals {codes}")
            again = {line: times for line, times in told.asked.items() if times > 1}
            self._expect(batch, not (self._is_calm and again), f"sent again without a fault: {again}")
            kept = {line["custom_id"] for line in good}
            self._expect(batch, kept <= set(told.asked), "answers that nobody gave")
        self._check_rows()

    def _check_kept(self, batch: Batch, told: Told, found: list[str]) -> None:
        """What was answered before the input was lost is kept, once."""
        self._expect(batch, len(found) == len(set(found)), f"lines twice {found}")
        self._expect(batch, set(found) <= set(told.custom_ids), f"lines of others {found}")
        if not told.rotten:
            missing = sorted(set(told.durable_at) - set(found))
            self._expect(batch, not missing, f"answers lost: {missing}")

    def _check_rows(self) -> None:
        left = self.machine.connection.execute("SELECT count(*) FROM shard").fetchone()[0]
        running = self.machine.connection.execute(
            "SELECT count(*) FROM batch WHERE shards_pending <> 0 OR shards_running <> 0"
        ).fetchone()[0]
        if left or running:
            raise BrokenError(f"{left} shards are left, {running} batches count some")

    def _expect(self, batch: Batch, holds: bool, what: str) -> None:  # noqa: FBT001
        if not holds:
            raise BrokenError(f"{batch.id} {batch.status}: {what}")

    def _lines(self, file_id: str | None) -> list[Any]:
        data = b"" if file_id is None else self.machine.blobs[f"files/{file_id}"]
        return [msgspec.json.decode(line) for line in data.splitlines()]


class _Living(Process):
    """A worker process that can be ended."""

    def __init__(self, name: str, machine: Machine, worker_id: WorkerId) -> None:
        super().__init__(name, machine)
        self.worker_id = worker_id
        self.draining = anyio.Event()
        self.scope = anyio.CancelScope()


class _Mortal(Worker):
    """A worker that gives nothing back once it is dead."""

    process: _Living

    async def _give_back(self) -> None:
        if not self.process.is_dead:
            await super()._give_back()


def _calm(machine: Machine) -> Process:
    """Return a process that nothing happens to."""
    process = Process("calm", machine)
    process.is_calm = True
    return process


def _lines_of(part: bytes) -> list[str]:
    return [str(msgspec.json.decode(line)["custom_id"]) for _, line in decode_part(part)]


def _leads(old: BatchStatus, new: BatchStatus) -> bool:
    """Whether legal moves lead from one status to another; some may have come between two looks."""
    seen, to_see = {old}, [old]
    while to_see:
        for after in MOVES[to_see.pop()] - seen:
            seen.add(after)
            to_see.append(after)
    return old not in TERMINAL and new in seen


@contextmanager
def virtual(seed: int) -> Iterator[None]:
    """Let the program draw ids and read clocks from the simulation."""
    chance = Random(f"ids {seed}")
    moment = [0]

    def next_ns() -> int:
        moment[0] += 1_000_000
        return EPOCH * 1_000_000_000 + moment[0]

    async def at_once(work: Any, *arguments: Any, **_: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return work(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "secrets", SimpleNamespace(randbits=chance.getrandbits))
        patch.setattr(ids, "time", SimpleNamespace(time_ns=next_ns))
        patch.setattr(ids, "_last", deque([0], maxlen=1))
        patch.setattr(
            runner_module, "time", SimpleNamespace(monotonic=lambda: 0.0, time=lambda: float(EPOCH))
        )
        patch.setattr(anyio.to_thread, "run_sync", at_once)
        patch.setattr(intake, "MIN_LINES", 2)
        patch.setattr(lane, "LOOK_SECONDS", 0.2)
        yield


def simulate(seed: int, probes: Probes) -> list[str]:
    """Run a seed; return what happened, line by line. Raises BrokenError with the seed and the end of that."""
    machines: list[Machine] = []
    try:
        _simulate(seed, probes, machines)
    except (Exception, StuckError) as error:
        (machine,) = machines
        told = "\n".join([*machine.trace[-60:], *map(repr, _leaves(error))])
        again = f"python -m tests.chaos.simulation {seed}"
        raise BrokenError(f"seed {seed} does not hold; `{again}` runs it again\n{told}") from error
    return machines[0].trace


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


def _simulate(seed: int, probes: Probes, machines: list[Machine]) -> None:

    async def main(loop: VirtualLoop) -> None:
        run = Run(seed, loop, probes)
        machines.append(run.machine)
        await run.main()

    with virtual(seed), structlog.testing.capture_logs() as logged:
        try:
            run_virtually(main)
        finally:
            for entry in logged:
                probes.hit(f"log: {entry['event']}")
    faults = [entry for entry in logged if entry["event"] in {"round failed", "request_broke"}]
    if faults:
        raise BrokenError(f"the log tells of a fault: {faults[0]}")
