"""What an index still has to read: the input file, and the results from journal parts while a batch runs, from its files afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from pronk.api.parts import ApiParts
from pronk.console.index.child import Child
from pronk.console.index.table import Table
from pronk.domain.batch import Batch
from pronk.domain.errors import NotFoundError
from pronk.domain.file import File
from pronk.lifecycle.facts import facts_blob

CHUNK_BYTES: Final = 1024 * 1024


class Reading(msgspec.Struct):
    """How far a file of lines was read."""

    file: File
    at: int = 0
    lines: int = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return self.at >= self.file.bytes


class Feed:
    """Reads a batch into its table, a slice at a time. `child` reads lines."""

    def __init__(self, parts: ApiParts, table: Table, folder: Path, child: Child) -> None:
        self._parts = parts
        self._table = table
        self._folder = folder
        self._child = child
        self._input: Reading | None = None
        self._results: list[Reading] | None = None
        self._had: set[str] = set()
        self._has_opened = False
        self.slices = 0

    async def advance(self, batch: Batch) -> bool:
        """Take in a slice of everything; return whether anything is left for now."""
        if not self._has_opened:
            self._input = await self._open(batch, batch.input_file_id)
            self._has_opened = True
        more = await self._take_requests(batch)
        if not batch.is_terminal:
            return await self._take_parts(batch) or more
        return await self._take_files(batch) or more

    @property
    def seen(self) -> float:
        """The share of the input file that was read."""
        return 1.0 if self._input is None else min(1.0, self._input.at / max(1, self._input.file.bytes))

    async def _take_requests(self, batch: Batch) -> bool:
        reading = self._input
        if reading is None or reading.is_done:
            return False
        data = await self._slice(reading)
        await self._taken("requests", data, reading.lines + 1, reading.at, batch.endpoint)
        reading.lines += data.count(b"\n")
        reading.at += len(data)
        return not reading.is_done

    async def _take_parts(self, batch: Batch) -> bool:
        """Parts never change, and the oldest that holds a line wins, so each is read once in the order of names."""
        names = [
            name for name in await self._parts.blobs.names(f"journals/{batch.id}/") if name not in self._had
        ]
        if not names:
            return False
        try:
            data = await self._parts.blobs.get(names[0])
        except FileNotFoundError:
            return True
        results, facts = self._folder / "results.jsonl", self._folder / "facts.jsonl"
        await self._child.do("part", data, str(results), str(facts))
        await self._table.add("results", results)
        await self._table.add("facts", facts)
        self._had.add(names[0])
        self.slices += 1
        return len(names) > 1

    async def _take_files(self, batch: Batch) -> bool:
        """Files of an ended batch hold every line; what its journal told before is in them word for word."""
        if self._results is None:
            ids = [file_id for file_id in (batch.output_file_id, batch.error_file_id) if file_id]
            opened = [await self._open(batch, file_id) for file_id in ids]
            self._results = [reading for reading in opened if reading is not None]
            await self._take_facts(batch)
        left = [reading for reading in self._results if not reading.is_done]
        for reading in left:
            data = await self._slice(reading)
            await self._taken("results", data)
            reading.at += len(data)
        return any(not reading.is_done for reading in left)

    async def _take_facts(self, batch: Batch) -> None:
        try:
            data = await self._parts.blobs.get(facts_blob(batch.id))
        except FileNotFoundError:
            return
        await self._taken("facts", data)

    async def _open(self, batch: Batch, file_id: str) -> Reading | None:
        try:
            return Reading(
                await self._parts.store.files.get(batch.project_id, file_id, now=self._parts.second)
            )
        except NotFoundError:
            return None

    async def _slice(self, reading: Reading) -> bytes:
        """Return whole lines from where the reading is: about a mebibyte, or one line that is longer."""
        length = CHUNK_BYTES
        while True:
            data = await self._parts.blobs.get_range(
                reading.file.blob, reading.at, min(length, reading.file.bytes - reading.at)
            )
            end = data.rfind(b"\n") + 1
            if reading.at + len(data) >= reading.file.bytes or not data:
                return data
            if end:
                return data[:end]
            length *= 4

    async def _taken(self, name: str, *arguments: Any) -> None:
        into = self._folder / f"{name}.jsonl"
        await self._child.do(name, *arguments, str(into))
        await self._table.add(name, into)
        self.slices += 1
