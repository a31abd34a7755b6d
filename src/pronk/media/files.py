"""Local files below folders that the operator names: opened step by step, never through a link, regular files only."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

import anyio.to_thread

from pronk.domain.reference import Reference
from pronk.media.fetched import Ask, Fetched, FetchError, Glimpse, TransientError, too_large
from pronk.media.head import HEAD_BYTES

_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LAST = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CHUNK = 1 << 20
T = TypeVar("T")


class Files:
    """Reads file:// references. A folder may itself be reached through links; below it none is followed."""

    def __init__(self, folders: Iterable[str]) -> None:
        self._folders = tuple(os.path.realpath(folder) for folder in folders)
        self._names = tuple(os.path.normpath(Path(folder).absolute()) for folder in folders)

    def name(self, reference: Reference) -> str:
        """Return what the reference is called in caches: itself, but for a choice of pages."""
        return reference.name

    def lane(self, reference: Reference) -> str:  # noqa: ARG002
        """Return what shares a limit of fetches: the disk."""
        return "file://"

    def identity(self, reference: Reference) -> None:
        """Nobody: the server reads its own files."""

    async def check(self, reference: Reference) -> None:
        """Raise FetchError for a file that would not be read."""
        self._place(reference)

    async def get(self, reference: Reference, ask: Ask) -> Fetched | None:
        """Read one file; None if it is still the one that `ask.etag` names."""
        folder, steps = self._place(reference)
        return await anyio.to_thread.run_sync(_guarded, folder, steps, lambda handle: _read_open(handle, ask))

    async def look(self, reference: Reference, ask: Ask) -> Glimpse:  # noqa: ARG002  # a source's signature
        """Return the first bytes of one file."""
        folder, steps = self._place(reference)
        return await anyio.to_thread.run_sync(_guarded, folder, steps, _look_open)

    def _place(self, reference: Reference) -> tuple[str, list[str]]:
        path = unquote(reference.name.removeprefix("file://"), errors="surrogateescape")
        if not path.startswith("/") or "\0" in path:
            raise FetchError("unsupported", "is not a local file; write file:///folder/file")
        for folder, name in zip(self._folders, self._names, strict=True):
            for prefix in (folder, name):
                if path.startswith(prefix.rstrip("/") + "/"):
                    return folder, _steps(path[len(prefix.rstrip("/")) + 1 :])
        raise FetchError("not_allowed", "is not below a folder that may be read")


def _steps(path: str) -> list[str]:
    steps = path.split("/")
    if not {"", ".", ".."}.isdisjoint(steps):
        raise FetchError("not_allowed", "has empty or dotted segments, which are not allowed in file paths")
    return steps


def _guarded(folder: str, steps: list[str], use: Callable[[int], T]) -> T:
    try:
        with _opened(folder, steps) as handle:
            return use(handle)
    except FileNotFoundError as error:
        raise FetchError("not_found", "does not exist") from error
    except PermissionError as error:
        raise FetchError("access_denied", "may not be read by the server") from error
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EMLINK, errno.EISDIR}:
            raise FetchError("not_allowed", "is a link or lies behind one, or is not a file") from error
        if error.errno == errno.ENAMETOOLONG:
            raise FetchError("not_found", "does not exist") from error
        raise TransientError("the file system failed") from error


@contextmanager
def _opened(folder: str, steps: list[str]) -> Iterator[int]:
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in steps[:-1]:
            below = os.open(step, _STEP, dir_fd=at)
            os.close(at)
            at = below
        handle = os.open(steps[-1], _LAST, dir_fd=at)
    finally:
        os.close(at)
    try:
        yield handle
    finally:
        os.close(handle)


def _status_of(handle: int) -> os.stat_result:
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_dev in _kernel_devices():
        raise FetchError("not_allowed", "is not a regular file")
    return status


def _look_open(handle: int) -> Glimpse:
    return Glimpse(size=_status_of(handle).st_size, head=os.read(handle, HEAD_BYTES))


def _read_open(handle: int, ask: Ask) -> Fetched | None:
    status = _status_of(handle)
    if status.st_size > ask.max_bytes:
        raise too_large(status.st_size, ask.max_bytes)
    etag = f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"
    if etag == ask.etag:
        return None
    ask.admit(status.st_size)
    pieces, have = [], 0
    while piece := os.read(handle, _CHUNK):
        have += len(piece)
        if have > ask.max_bytes:
            raise too_large(None, ask.max_bytes)
        pieces.append(piece)
    return Fetched(data=b"".join(pieces), etag=etag)


def _kernel_devices() -> set[int]:
    """Where the kernel shows itself as files, which look regular and are not."""
    found = set()
    for folder in ("/proc", "/sys"):
        with suppress(OSError):
            found.add(Path(folder).stat().st_dev)
    return found
