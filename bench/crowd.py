"""Simulated workers on one database, at the pace of real ones: what they wait for each other.

``python -m bench.crowd URL --workers 16 --of 16 --shard-seconds 2 --seconds 30`` prints its figures as JSON. Each one claims, works for
as long as a shard takes, and finishes, one after the other, where a real worker claims ahead; beside that it reports every
second, renews and looks around every two, and asks for whole-batch work as often as real workers do among so many.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio

from pronk.domain.ids import WorkerId, new_worker_id
from pronk.domain.shard import Claim, Progress
from pronk.domain.usage import Usage
from pronk.store.opening import open_database
from pronk.store.store import Store
from pronk.worker.loop import Tuning

_ROOT = Path(__file__).resolve().parents[1]
_FAR = 2e9
_OF_PROCESS = 16
"""Workers that one process plays, so that they do not wait for the interpreter."""


class Player:
    """One worker of so many."""

    def __init__(self, url: str, shard_seconds: float, workers: int) -> None:
        self.cycles: list[float] = []
        self._store = Store(open_database(url))
        self._id: WorkerId = new_worker_id()
        self._workers = workers
        self._shard_seconds = shard_seconds
        self._held: Claim | None = None

    async def run(self, over: Callable[[], bool]) -> None:
        """Work until it is over."""
        await self._store.set_clock()
        async with anyio.create_task_group() as group:
            if self._shard_seconds:
                group.start_soon(self._often, 1.0, self._report)
                group.start_soon(self._often, 2.0, self._heartbeat)
                group.start_soon(self._often, Tuning().pause(self._workers), self._ask_for_duties)
                await anyio.sleep(random.random() * self._shard_seconds)
            while not over():
                await self._serve()
            group.cancel_scope.cancel()
        await self._store.close()

    async def _serve(self) -> None:
        began = time.perf_counter()
        found = await self._store.shards.claim("default", self._id, until=_FAR)
        if found is None:
            raise RuntimeError("there is nothing left to claim")
        self._held = found[1].claim
        await anyio.sleep(self._shard_seconds)
        claim, self._held = self._held, None
        await self._store.shards.finish(claim, Progress(500, 0, Usage(450_000, 0, 0, 0)), now=1)
        self.cycles.append(time.perf_counter() - began)

    async def _report(self) -> None:
        if self._held is not None:
            await self._store.shards.report([(self._held, Progress(100))])

    async def _heartbeat(self) -> None:
        await self._store.workers.see(self._id, host="bench", pid=1, now=self._store.now())
        await self._store.shards.renew(self._id, until=_FAR)
        await self._store.shards.reclaim(now=0)
        await self._store.batches.expire(now=0)

    async def _ask_for_duties(self) -> None:
        now = self._store.now()
        duty = await self._store.duties.claim(self._id, now=now, until=now + 60)
        if duty is not None:
            await self._store.duties.release(duty)

    async def _often(self, seconds: float, deed: Callable[[], Awaitable[None]]) -> None:
        await anyio.sleep(random.random() * seconds)
        while True:
            await deed()
            await anyio.sleep(seconds)


def crowd(url: str, workers: int, *, shard_seconds: float, seconds: float) -> dict[str, float]:
    """Let so many workers work; return shards a second and the mean seconds from a claim to the next."""
    parts = [min(_OF_PROCESS, workers - first) for first in range(0, workers, _OF_PROCESS)]
    command = [sys.executable, "-m", "bench.crowd", url, "--shard-seconds", str(shard_seconds)]
    command += ["--of", str(workers)]
    children = [
        subprocess.Popen(
            [*command, "--workers", str(part), "--seconds", str(seconds)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in parts
    ]
    for child in children:  # all are ready before any begins
        assert child.stdout is not None  # noqa: S101  # it was opened with pipes
        child.stdout.readline()
    found: list[dict[str, Any]] = [json.loads(child.communicate("go\n")[0]) for child in _begun(children)]
    cycles = [cycle for part in found for cycle in part["cycles"]]
    return {"shards/s": len(cycles) / seconds, "cycle s": sum(cycles) / len(cycles)}


def _begun(children: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    for child in children:
        assert child.stdin is not None  # noqa: S101  # likewise
        child.stdin.write("go\n")
        child.stdin.flush()
    return children


async def _play(given: argparse.Namespace) -> list[float]:
    players = [Player(given.url, given.shard_seconds, given.of) for _ in range(given.workers)]
    print("ready", flush=True)
    sys.stdin.readline()
    ends = time.monotonic() + given.seconds
    async with anyio.create_task_group() as group:
        for player in players:
            group.start_soon(player.run, lambda: time.monotonic() > ends)
    return [cycle for player in players for cycle in player.cycles]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--of", type=int, required=True, help="workers in all processes")
    parser.add_argument("--shard-seconds", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    print(json.dumps({"cycles": anyio.run(_play, parser.parse_args())}))
