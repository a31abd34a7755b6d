"""Request files from a bucket's listing: one pass in constant memory that can be interrupted at any time and goes on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import BinaryIO, Final, Self

import msgspec

from pronk.app import entry
from pronk.app.parts import open_media
from pronk.app.recipe import Composer, Group, Grouping, Recipe
from pronk.domain.errors import SettingsError
from pronk.media.listing import Entry
from pronk.media.regions import NoMemory
from pronk.results.table import Table
from pronk.settings import Settings

STATE: Final = "make.json"
_encode = msgspec.json.Encoder().encode


class Progress(msgspec.Struct, kw_only=True):
    """How far it is. `last_key` is the last object of the files that are whole."""

    recipe: str
    files: list[str] = []
    requests: int = 0
    objects: int = 0
    left_out: int = 0
    last_key: str = ""
    is_done: bool = False


def make(settings: Settings, recipe: Recipe, folder: Path, note: Callable[[Progress], None]) -> Progress:
    """Write request files into `folder`; the same recipe again goes on behind the last whole file.

    Raises SettingsError for a recipe that cannot be followed, and where the folder holds what another recipe made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return entry.run(settings, _make, settings, recipe, folder, note)


async def _make(
    settings: Settings, recipe: Recipe, folder: Path, note: Callable[[Progress], None]
) -> Progress:
    with ExitStack() as stack:
        table = stack.enter_context(Table(Path(recipe.table), recipe.source)) if recipe.table else None
        composer = Composer(recipe, frozenset(table.columns if table else ()))
        progress = _begin(recipe, folder)
        if progress.is_done:
            return progress
        sheets = stack.enter_context(_Sheets(recipe, folder, progress))
        async with open_media(settings, NoMemory()) as resolver:
            entries = resolver.whole.list(recipe.source, progress.last_key)
            async with aclosing(entries) as found:  # type: ignore[type-var]  # a generator
                await _write_all(Grouping(recipe, table), composer, found, (sheets, note))
        sheets.end(is_done=True)
        note(progress)
        return progress


async def _write_all(
    grouping: Grouping,
    composer: Composer,
    entries: AsyncIterator[Entry],
    sinks: tuple[_Sheets, Callable[[Progress], None]],
) -> None:
    sheets, note = sinks
    before = sheets.progress.left_out
    async for entry_ in entries:
        whole = grouping.take(entry_)
        if whole is not None:
            sheets.progress.left_out = before + grouping.left_out
            sheets.write(composer.line(whole), whole)
            if sheets.progress.requests % 5_000 == 0:
                note(sheets.progress)
    sheets.progress.left_out = before + grouping.left_out
    last = grouping.end()
    if last is not None:
        sheets.write(composer.line(last), last)


class _Sheets:
    """The files: each gets its name when it is whole, and the state is written down with it."""

    def __init__(self, recipe: Recipe, folder: Path, progress: Progress) -> None:
        self.progress = progress
        self._recipe = recipe
        self._folder = folder
        self._file: BinaryIO | None = None
        self._lines = self._bytes = 0
        self._last_key = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._partial.unlink(missing_ok=True)

    @property
    def _partial(self) -> Path:
        return self._folder / "requests.partial"

    def write(self, line: bytes, group: Group) -> None:
        """Append a request; a file that is full is finished first."""
        if self._lines >= self._recipe.max_lines or self._bytes + len(line) > self._recipe.max_bytes:
            self.end(is_done=False)
        if self._file is None:
            self._file = self._partial.open("wb", buffering=1 << 20)
        self._file.write(line)
        self._lines += 1
        self._bytes += len(line)
        self._last_key = group.keys[-1]
        self.progress.requests += 1
        self.progress.objects += len(group.keys)

    def end(self, *, is_done: bool) -> None:
        """Finish the file and write the state down."""
        progress = self.progress
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            name = f"requests-{len(progress.files) + 1:05}.jsonl"
            self._partial.replace(self._folder / name)
            progress.files.append(name)
            progress.last_key = self._last_key
            self._file = None
        self._lines = self._bytes = 0
        progress.is_done = is_done
        state = self._folder / f"{STATE}.partial"
        state.write_bytes(_encode(progress))
        state.replace(self._folder / STATE)


def _begin(recipe: Recipe, folder: Path) -> Progress:
    digest = hashlib.blake2b(_encode(recipe), digest_size=16).hexdigest()
    state = folder / STATE
    if not state.exists():
        return Progress(recipe=digest)
    try:
        progress = msgspec.json.decode(state.read_bytes(), type=Progress)
    except msgspec.DecodeError as error:
        raise SettingsError(f"{state} is not what was written; remove it to begin anew") from error
    if progress.recipe != digest:
        raise SettingsError(f"{folder} holds requests that were made in another way; choose another with -o")
    return progress
