"""The indexes that are in use: opened when somebody looks, brought up to date while somebody does, dropped when nobody has for long."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.abc
import msgspec
import structlog

from pronk.api.parts import ApiParts
from pronk.console.index.child import Child
from pronk.console.index.feed import Feed
from pronk.console.index.table import Table
from pronk.domain.batch import Batch
from pronk.domain.errors import PronkError
from pronk.domain.ids import BatchId

log = structlog.get_logger()

RegionOf = Callable[[str], Awaitable[str | None]]
"""Returns where a bucket lives, None where nobody knows."""

MAX_BUCKETS: Final = 100
"""How many buckets of a batch are asked for where they live."""
MAX_OPEN: Final = 8
_KEPT: Final = 32
LOOK_SECONDS: Final = 1.0
BEGINNING: Final = 2
"""Slices that are read without a rest, so that there is something to see."""
REST: Final = 12
"""How many times as long as it reads a running batch an index rests: the batch needs the machine more."""
MAX_REST_SECONDS: Final = 6.0
WANTED_SECONDS: Final = 20.0
"""How long a running batch is followed after somebody has looked."""


class Index:
    """The lines of one batch. `version` grows with everything that is taken in; `is_whole` says that nothing is missing."""

    def __init__(self, batch: Batch, table: Table, feed: Feed, folder: Path) -> None:
        self.folder = folder
        self.batch = batch
        self.table = table
        self.feed = feed
        self.is_whole = False
        self.wanted_at = 0.0
        self.is_running = False
        self.known: OrderedDict[object, object] = OrderedDict()
        self.looks: dict[int, int | None] = {}
        self.elsewhere: dict[str, Mapping[Any, str]] = {"mark": {}, "region": {}}
        self._learning = anyio.Lock()
        self._learnt = 0
        self._regions_of = -1
        self._first = anyio.Event()

    @property
    def version(self) -> int:
        """How often something was taken in."""
        return self.feed.slices + self._learnt

    async def learn(self, marks: Mapping[int, str], region_of: RegionOf) -> None:
        """Take over the marks as they are now, and where the buckets of new lines live."""
        async with self._learning:
            await self._replace("mark", marks)
            if self._regions_of != self.feed.slices:
                self._regions_of = self.feed.slices
                await self._replace("region", await self._regions(region_of))

    async def _regions(self, region_of: RegionOf) -> dict[str, str]:
        rows = await self.table.ask(
            "SELECT DISTINCT bucket FROM lines WHERE bucket <> '' LIMIT ?", [MAX_BUCKETS]
        )
        found = {bucket: await region_of(bucket) for (bucket,) in rows}
        return {bucket: region for bucket, region in found.items() if region}

    async def _replace(self, name: str, pairs: Mapping[Any, str]) -> None:
        if self.elsewhere[name] != pairs:
            await self.table.replace(f"{name}s", pairs)
            self.elsewhere[name] = pairs
            self._learnt += 1

    def keep(self, key: object, value: object) -> None:
        """Remember the answer to a question; the oldest are forgotten."""
        self.known[key] = value
        while len(self.known) > _KEPT:
            self.known.popitem(last=False)

    async def until_begun(self) -> None:
        """Wait for the first slice, so that the first page has something to show; but not for long."""
        with anyio.move_on_after(3):
            await self._first.wait()

    async def follow(self, parts: ApiParts) -> None:
        """Take in what there is until all is there, or until nobody looks."""
        self.is_running = True
        try:
            while not self.is_whole and parts.now() - self.wanted_at < WANTED_SECONDS:
                await self._round(parts)
            if self.is_whole:
                await self.table.settle()
        except PronkError as error:
            log.warning("index_failed", batch=self.batch.id, error=repr(error))
        except Exception:
            log.exception("index_failed", batch=self.batch.id)
        finally:
            self.is_running = False
            self._first.set()

    async def _round(self, parts: ApiParts) -> None:
        self.batch = await parts.store.batches.get(None, self.batch.id)
        began = anyio.current_time()
        more = await self.feed.advance(self.batch)
        self._first.set()
        if not more and self.batch.is_terminal:
            self.is_whole = True
        elif not more:
            await anyio.sleep(LOOK_SECONDS)
        elif not self.batch.is_terminal and self.version > BEGINNING:
            await anyio.sleep(min(MAX_REST_SECONDS, REST * (anyio.current_time() - began)))


class Shelf:
    """The open indexes. `group` runs what follows batches."""

    def __init__(self, parts: ApiParts, folder: Path, group: anyio.abc.TaskGroup) -> None:
        self._parts = parts
        self._folder = folder
        self._group = group
        self._open: OrderedDict[BatchId, Index] = OrderedDict()
        self._child = Child()

    def get(self, batch: Batch) -> Index:
        """Return the index of a batch and see to it that it is followed. Raises UnavailableError without DuckDB."""
        index = self._open.get(batch.id) or self._add(batch)
        self._open.move_to_end(batch.id)
        index.wanted_at = self._parts.now()
        if not index.is_whole and not index.is_running:
            index.is_running = True
            self._group.start_soon(index.follow, self._parts)
        return index

    async def looks_of(self, index: Index, pictures: list[tuple[int, bytes]]) -> dict[int, int | None]:
        """Return what small pictures of lines look like; the child decodes them."""
        into = anyio.Path(index.folder / f"looks-{pictures[0][0]}.json")
        await self._child.do("looks", pictures, str(into))
        return dict(msgspec.json.decode(await into.read_bytes(), type=list[tuple[int, int | None]]))

    async def close(self) -> None:
        """Close all."""
        await self._child.close()
        while self._open:
            self._drop(next(iter(self._open)))

    def _add(self, batch: Batch) -> Index:
        while len(self._open) >= MAX_OPEN:
            self._drop(next(iter(self._open)))
        folder = self._folder / batch.id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        table = Table(folder)
        index = Index(batch, table, Feed(self._parts, table, folder, self._child), folder)
        self._open[batch.id] = index
        return index

    def _drop(self, batch_id: BatchId) -> None:
        index = self._open.pop(batch_id)
        index.wanted_at = 0.0
        index.table.close()
        shutil.rmtree(self._folder / batch_id, ignore_errors=True)


@asynccontextmanager
async def open_shelf(parts: ApiParts) -> AsyncIterator[Shelf]:
    """Give a shelf whose files lie in a folder of this process below `data_dir` and go with it."""
    root = parts.settings.data_dir / "console"
    folder = root / str(os.getpid())
    with _locked(root, folder):
        async with anyio.create_task_group() as group:
            shelf = Shelf(parts, folder, group)
            try:
                yield shelf
            finally:
                group.cancel_scope.cancel()
        await shelf.close()
        shutil.rmtree(folder, ignore_errors=True)


class _locked:  # noqa: N801 - used as a function
    """A folder of one process; those of processes that died are removed."""

    def __init__(self, root: Path, folder: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._lock = (root / f"{folder.name}.lock").open("w")
        self._root = root

    def __enter__(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        for lock in self._root.glob("*.lock"):
            if lock.name != Path(self._lock.name).name and _is_left(lock):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            Path(self._lock.name).unlink()
        self._lock.close()


def _is_left(lock: Path) -> bool:
    with suppress(OSError), lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
