"""What a batch may cost, counted instead of timed: requests, fetches, statements, parts, tasks, copies.

A machine's speed varies, these counts do not. Whoever makes one of them grow with the number of requests makes every batch slower.
"""

from __future__ import annotations

import asyncio
import sys
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx2
import pytest
from tests.media.pictures import png
from tests.media.world import open_world as open_media
from tests.worker.world import World, open_world, request_file, request_line

from pronk.api.app import create_api
from pronk.api.parts import ApiParts
from pronk.domain.ids import BatchId, new_worker_id
from pronk.domain.lines import ResultHead, answer_line
from pronk.engines.client import Answer
from pronk.journal import Journal
from pronk.settings import Settings
from pronk.store.database import Row
from pronk.store.sqlite import open_sqlite
from pronk.store.store import Store
from pronk.worker import runner
from pronk.worker.loop import Tuning

pytestmark = pytest.mark.anyio
T = TypeVar("T")

SHARD_STATEMENTS = Counter(pick_batch=1, claim_shard=1, count_claim=1, finish_shard=1, count_finish=1)
"""What one shard costs the database, less what is read to run it."""


class CountingDatabase:
    """A database that counts statements by name, and transactions that read in a thread or write."""

    def __init__(self, database: Any) -> None:
        self.statements: Counter[str] = Counter()
        self.reads = self.writes = 0
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def read(self, work: Callable[[Any], T], /) -> T:
        self.reads += 1
        found: T = await self._database.read(lambda tx: work(_Counted(tx, self.statements)))
        return found

    async def look(self, work: Callable[[Any], T], /) -> T:
        found: T = await self._database.look(lambda tx: work(_Counted(tx, self.statements)))
        return found

    async def write(self, work: Callable[[Any], T], /) -> T:
        self.writes += 1
        found: T = await self._database.write(lambda tx: work(_Counted(tx, self.statements)))
        return found


class _Counted:
    def __init__(self, tx: Any, statements: Counter[str]) -> None:
        self._tx = tx
        self._statements = statements

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    def one(self, query: str, /, **values: object) -> Row | None:
        self._statements[query] += 1
        row: Row | None = self._tx.one(query, **values)
        return row

    def all(self, query: str, /, **values: object) -> list[Row]:
        self._statements[query] += 1
        rows: list[Row] = self._tx.all(query, **values)
        return rows

    def run(self, query: str, /, **values: object) -> int:
        self._statements[query] += 1
        changed: int = self._tx.run(query, **values)
        return changed


@asynccontextmanager
async def counted(folder: Path) -> AsyncIterator[tuple[World, CountingDatabase]]:
    """Give a world whose periodic work rests, so that what is counted belongs to the batch."""
    async with open_world(folder) as world:
        await world.store.close()
        database = CountingDatabase(open_sqlite(folder / "pronk.db"))
        world.store = Store(database)
        await world.store.open(now=1)
        world.tuning = Tuning(heartbeat_seconds=60, flush_seconds=60, idle_seconds=0.01, grace_seconds=5)
        yield world, database


async def run_batch(world: World, lines: int) -> None:
    async with world.working():
        batch = await world.until_ended(await world.add_batch(request_file(lines)))
    assert batch.counts.completed == lines


@pytest.mark.parametrize("lines", [500, 1_500])
async def test_a_batch_asks_the_engine_once_a_line_over_few_connections(tmp_path: Path, lines: int) -> None:
    async with counted(tmp_path) as (world, _):
        await run_batch(world, lines)
        assert world.engine.request_count == lines
        assert world.engine.connection_count <= 8 + 2, (
            "connections are kept alive; one more probes, one looks"
        )


@pytest.mark.parametrize("lines", [500, 1_500])
async def test_the_database_is_asked_by_the_shard_and_not_by_the_line(tmp_path: Path, lines: int) -> None:
    async with counted(tmp_path) as (world, database):
        await run_batch(world, lines)
    shards = database.statements["finish_shard"]
    assert shards <= 16, "a batch is cut into 16 shards for one worker, or into such of 500 lines"
    found = Counter({name: database.statements[name] for name in SHARD_STATEMENTS})
    idle_claims = found["pick_batch"] - shards
    assert found - Counter(pick_batch=idle_claims) == Counter(
        {name: count * shards for name, count in SHARD_STATEMENTS.items()}
    )
    assert max(database.statements[name] for name in ("start_batch", "end_batch", "delete_shards")) == 1


async def test_a_look_at_a_batch_takes_two_look_ups_and_no_thread(tmp_path: Path) -> None:
    async with counted(tmp_path) as (world, database):
        batch_id = await world.add_batch(request_file(1))
        parts = ApiParts(
            store=world.store,
            blobs=world.blobs,
            journal=Journal(world.blobs),
            settings=Settings(),
            now=world.now,
            pools={},
            resolver=world.media,
            version="0",
        )
        transport = httpx2.ASGITransport(create_api(parts))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            database.statements.clear()
            database.reads = database.writes = 0
            assert (await client.get(f"/v1/batches/{batch_id}")).json()["id"] == batch_id
    assert database.statements == Counter(find_any_api_key=1, find_project=1, get_batch=1)
    assert (database.reads, database.writes) == (0, 0)


def test_a_fleet_that_finds_nothing_asks_no_more_often_than_fifty_times_a_second() -> None:
    tuning = Tuning()
    assert [tuning.pause(workers) for workers in (1, 10, 25, 75)] == [0.2, 0.2, 0.5, 1.5]
    assert tuning.pause(200) == tuning.pause(100) == 2.0


async def test_a_shard_is_one_part_unless_it_is_large_or_slow(tmp_path: Path) -> None:
    async with counted(tmp_path) as (world, database):
        parts: list[str] = []
        put = world.blobs.put

        async def counting_put(name: str, data: bytes) -> None:
            parts.append(name)
            await put(name, data)

        world.blobs.put = counting_put  # type: ignore[method-assign]  # counts and hands on
        await run_batch(world, 1_000)
    journalled = [name for name in parts if name.startswith("journals/")]
    assert len(journalled) == database.statements["finish_shard"]


async def test_no_task_is_made_for_a_request(tmp_path: Path) -> None:
    assert await _tasks(tmp_path / "more", 2_000) - await _tasks(tmp_path / "less", 1_000) < 100


async def _tasks(folder: Path, lines: int) -> int:
    await anyio.Path(folder).mkdir()
    made = 0

    def factory(loop: Any, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
        nonlocal made
        made += 1
        return asyncio.Task(coroutine, loop=loop, **more)

    async with counted(folder) as (world, _):
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        try:
            await run_batch(world, lines)
        finally:
            loop.set_task_factory(None)
    return made


async def test_a_picture_is_fetched_once_however_many_lines_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_media(monkeypatch) as media:
        bucket = media.aws.new_bucket("pictures", "us-east-1")
        bucket.put("a.png", png(8, 8), "image/png")
        bucket.put("b.png", png(9, 9), "image/png")
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(media.outcome, f"s3://pictures/{'ab'[number % 2]}.png")
        assert media.aws.count("GetObject") == 2


class Recorder:
    """An engine behind the port that answers at once and notes how much memory is taken by then."""

    name = "default"
    limit = 1
    is_out = False

    def __init__(self) -> None:
        self.peak = 0

    async def wait_until_up(self) -> None:
        return

    async def complete(self, *_: object, avoid: Collection[str] = (), **__: object) -> Answer:  # noqa: ARG002
        self.peak = max(self.peak, tracemalloc.get_traced_memory()[1])
        return Answer(200, b'{"usage":{"prompt_tokens":1,"completion_tokens":1}}')


async def test_a_body_is_copied_twice_at_most_between_storage_and_engine(tmp_path: Path) -> None:
    size = 8_000_000
    async with counted(tmp_path) as (world, _):
        engine = Recorder()
        world.pool = engine  # type: ignore[assignment]  # the port is all that a worker sees
        batch_id = await world.add_batch(request_line(1, text="x" * size))
        await world.take_in(new_worker_id())
        tracemalloc.start()
        try:
            async with world.working():
                await world.until_ended(batch_id)
        finally:
            tracemalloc.stop()
    assert engine.peak < 3.5 * size, "what was read, the line cut out of it, the body cut out of the line"


async def test_traces_that_are_off_cost_no_call_a_request(tmp_path: Path) -> None:
    assert await _tracing_calls(tmp_path / "more", 600) == await _tracing_calls(tmp_path / "less", 300)


async def _tracing_calls(folder: Path, lines: int) -> int:
    """Count calls into the module for traces and into OpenTelemetry; those of the log are the same for any batch."""
    await anyio.Path(folder).mkdir()
    calls: Counter[str] = Counter()

    def note(frame: Any, event: str, _: object) -> None:
        if event == "call":
            calls[frame.f_code.co_filename] += 1

    async with counted(folder) as (world, _):
        sys.setprofile(note)
        try:
            await run_batch(world, lines)
        finally:
            sys.setprofile(None)
    assert calls[runner.__file__] >= lines, "the profiler saw the requests"
    return sum(
        count for name, count in calls.items() if "trace" in Path(name).stem or "opentelemetry" in name
    )


def test_an_answer_is_copied_once_into_its_result_line() -> None:
    body = b'{"x":"%b"}' % (b"y" * 4_000_000)
    head = ResultHead(BatchId("batch_1"), 1, "a")
    tracemalloc.start()
    try:
        line = answer_line(head, 200, "r", body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(body) < len(line) < peak < 1.1 * len(body)
