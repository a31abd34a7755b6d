"""A disk that loses power: what was not synced is gone, files and names alike.

Syncing a file keeps its bytes, syncing a folder keeps the names in it; nothing else is kept.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """Remembers what was synced below a folder.

    Syncs of paths that hold a word of `broken` fail. With `drops_next` the next sync of a file fails and, as Linux does it,
    later ones succeed without having written anything.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._bytes: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self.broken: set[str] = set()
        self.drops_next = False
        self._dropped: set[int] = set()

    def fsync(self, descriptor: int) -> None:
        """Sync for the disk's memory only; the test's own disk need not work as hard."""
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if any(word in path.as_posix() for word in self.broken):
            raise OSError(5, "Input/output error")
        info = os.fstat(descriptor)
        if self.drops_next and stat.S_ISREG(info.st_mode):
            self.drops_next = False
            self._dropped.add(info.st_ino)
            raise OSError(5, "Input/output error")
        if stat.S_ISDIR(info.st_mode):
            self._names[info.st_ino] = {entry.name: entry.inode() for entry in os.scandir(descriptor)}
        elif info.st_ino not in self._dropped:
            self._bytes[info.st_ino] = path.read_bytes()

    def lose_power(self) -> None:
        """Put the folder into the state that a restart would find."""
        inodes = {entry.stat().st_ino: entry for entry in self._root.rglob("*")}
        kinds = {inode: entry.is_dir() for inode, entry in inodes.items()}
        target = self._root.with_name("after")
        self._restore(self._root.stat().st_ino, target, kinds)
        shutil.rmtree(self._root)
        target.rename(self._root)
        self._bytes, self._names = {}, {}
        self._remember(self._root)

    def _restore(self, folder: int, target: Path, kinds: dict[int, bool]) -> None:
        target.mkdir()
        for name, inode in self._names.get(folder, {}).items():
            if kinds.get(inode):
                self._restore(inode, target / name, kinds)
            elif inode in kinds:
                (target / name).write_bytes(self._bytes.get(inode, b""))

    def _remember(self, folder: Path) -> None:
        entries = list(os.scandir(folder))
        self._names[folder.stat().st_ino] = {entry.name: entry.inode() for entry in entries}
        for entry in entries:
            if entry.is_dir():
                self._remember(Path(entry.path))
            else:
                self._bytes[entry.inode()] = Path(entry.path).read_bytes()


@contextmanager
def forgetful(root: Path) -> Iterator[Disk]:
    """Let the syncs of this process go to a `Disk` over a folder that exists."""
    disk = Disk(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", disk.fsync)
        yield disk
