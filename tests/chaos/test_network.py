"""The network between two workers and their database, storage and engine is cut, held and slowed at random, then healed.

Each worker has ways of its own, so that one of them may be alone while the other works on, and takes over.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import msgspec
import pytest
import structlog
from tests.chaos.storage import s3_storage
from tests.fakes.aws.server import Aws
from tests.fakes.engine import Behaviour, fake_engine
from tests.fakes.wire import Wire, open_wire
from tests.store.cluster import Cluster
from tests.worker.world import World, open_world, request_file

from pronk.blobs import open_blobs
from pronk.domain.batch import BatchStatus, Counts
from pronk.domain.engine import EngineSpec
from pronk.engines.pool import open_pool
from pronk.store.opening import open_database
from pronk.store.store import Store

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("impatient"), pytest.mark.timeout(3600)]
log = structlog.get_logger()

LINES = 150
IN_FLIGHT = 8
HEALED = 30.0
"""Seconds after the last trouble within which the batch has ended."""

Toxic = Callable[[list[Wire], random.Random], Awaitable[None]]


def _while(dice: random.Random) -> float:
    """Return seconds of trouble; some are longer than a lease."""
    return dice.choice((0.05, 0.2, 0.6, 1.0)) * dice.uniform(0.5, 1.5)


async def _cut(wires: list[Wire], dice: random.Random) -> None:
    wire = dice.choice(wires)
    wire.cut()
    await anyio.sleep(_while(dice))
    wire.mend()


async def _clog(wires: list[Wire], dice: random.Random) -> None:
    wire = dice.choice(wires)
    wire.hold("there", "back")
    await anyio.sleep(_while(dice))
    wire.mend()


async def _one_way(wires: list[Wire], dice: random.Random) -> None:
    wire = dice.choice(wires)
    wire.hold(dice.choice(("there", "back")))
    await anyio.sleep(_while(dice))
    wire.mend()


async def _slow(wires: list[Wire], dice: random.Random) -> None:
    wire = dice.choice(wires)
    wire.delay = 0.03
    await anyio.sleep(_while(dice))
    wire.mend()


async def _swizzle(wires: list[Wire], dice: random.Random) -> None:
    """Clog some one after the other, and let them go in another order."""
    some = dice.sample(wires, dice.randrange(2, len(wires) + 1))
    for wire in some:
        wire.hold("there", "back")
        await anyio.sleep(_while(dice) / 4)
    for wire in dice.sample(some, len(some)):
        wire.mend()
        await anyio.sleep(_while(dice) / 4)


TOXICS: tuple[Toxic, ...] = (_cut, _clog, _one_way, _slow, _swizzle)


@asynccontextmanager
async def _wired(
    world: World, database: str, storage: str, aws: Aws, patch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[World, list[Wire]]]:
    """Give a second view of a world, whose database, storage and engine are reached over wires of its own."""
    async with AsyncExitStack() as stack:
        ends = (database, aws.url, world.engine.url)
        wires = [await stack.enter_async_context(open_wire("127.0.0.1", _port(url))) for url in ends]
        database, endpoint, engine = (
            url.replace(f":{_port(url)}", f":{wire.port}", 1) for url, wire in zip(ends, wires, strict=True)
        )
        patch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        view = object.__new__(World)
        view.__dict__.update(vars(world))
        view.blobs = open_blobs(storage)
        view.store = Store(await anyio.to_thread.run_sync(open_database, database))
        await view.store.set_clock()
        view.now = view.store.now
        spec = EngineSpec(urls=(engine,), max_in_flight=IN_FLIGHT)
        group = await stack.enter_async_context(anyio.create_task_group())
        view.pool = await stack.enter_async_context(
            open_pool(spec, api_key=None, clock=anyio.current_time, chance=random.Random(1))
        )
        group.start_soon(view.pool.run)
        try:
            yield view, wires
        finally:
            for wire in wires:
                wire.mend()
            with anyio.CancelScope(shield=True):
                await view.store.close()
            group.cancel_scope.cancel()


async def _comes_through(
    folder: Path, cluster: Cluster, patch: pytest.MonkeyPatch, seed: int, *, lease: float, healed: float
) -> None:
    dice, aws, url = random.Random(seed), Aws(), cluster.make_schema()
    async with s3_storage(patch, aws) as storage, open_world(folder) as world:
        await world.store.close()
        world.store = Store(await anyio.to_thread.run_sync(open_database, url))
        await world.store.open(now=1)
        world.blobs = open_blobs(storage)
        world.engine.models["m"] = Behaviour(delay=0.05)
        world.tuning = msgspec.structs.replace(world.tuning, lease_seconds=lease, heartbeat_seconds=0.1)
        batch_id = await world.add_batch(request_file(LINES))
        async with (
            _wired(world, url, storage, aws, patch) as (one, wires),
            _wired(world, url, storage, aws, patch) as (other, more),
            one.working(),
            other.working(),
        ):
            troubles = [dice.choice(TOXICS) for _ in range(dice.randrange(2, 6))]
            for trouble in troubles:
                await anyio.sleep(dice.random() / 5)
                await trouble([*wires, *more], dice)
            with anyio.fail_after(healed):
                batch = await world.until_ended(batch_id)
        found = [line["custom_id"] for line in await world.lines(batch.output_file_id)]
        sent = Counter(world.sent())
    story = [trouble.__name__ for trouble in troubles]
    assert (batch.status, batch.counts) == (BatchStatus.COMPLETED, Counts(LINES, LINES, 0)), story
    assert found == [f"r-{number}" for number in range(1, LINES + 1)], story
    assert sent.total() - LINES <= 2 * IN_FLIGHT * len(troubles), story
    cluster.drop_schema(url)


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


async def test_a_network_in_trouble_costs_time_only(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with little time to give may lose a short lease without any trouble, so this one is long."""
    await _comes_through(tmp_path, cluster, monkeypatch, 14, lease=20.0, healed=300)


@pytest.mark.chaos
@pytest.mark.parametrize("part", range(5))
async def test_forty_networks_in_trouble(
    part: int, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(part * 40, part * 40 + 40):
        with monkeypatch.context() as patch:
            await _comes_through(tmp_path / str(seed), cluster, patch, seed, lease=1.0, healed=HEALED)
        log.info("came through", seed=seed)


async def test_a_wire_passes_holds_and_cuts() -> None:
    async with (
        fake_engine() as engine,
        open_wire("127.0.0.1", _port(engine.url)) as wire,
        open_pool(
            EngineSpec(urls=(f"http://127.0.0.1:{wire.port}/v1",), max_in_flight=2),
            api_key=None,
            clock=anyio.current_time,
            chance=random.Random(1),
        ) as pool,
    ):
        body = b'{"model":"m","messages":[{"role":"user","content":"1"}]}'
        assert (await pool.complete("/v1/chat/completions", body)).status == 200
        wire.hold("back")
        with anyio.move_on_after(0.1) as waited:
            await pool.complete("/v1/chat/completions", body)
        assert waited.cancelled_caught
        assert engine.request_count == 2
        wire.hold("there")
        with anyio.move_on_after(0.1) as waited:
            await pool.complete("/v1/chat/completions", body)
        assert waited.cancelled_caught
        assert engine.request_count == 2
        wire.mend()
        assert wire.passed > 100
