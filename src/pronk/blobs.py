"""Where bytes live: one small interface over the local disk and every object store.

A blob is written once, whole, and never changed. `put` and `writer` return only when the bytes would survive a power cut;
before that nothing can be read under the name.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread
import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from pronk.domain.errors import BlobOutageError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

T = TypeVar("T")
CHUNK_BYTES = 1024 * 1024
PARTIAL = ".partial"
PROBE_BYTES = 4096

_CLIENT: Final[ClientConfig] = {
    # An endpoint is named by the operator; one inside a cluster often has no certificate.
    "allow_http": True,
    "connect_timeout": timedelta(seconds=5),
    "timeout": timedelta(seconds=60),
}
_RETRY: Final[RetryConfig] = {
    # Outages are waited out in one place, with a word in the log; this is only for a lost packet.
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=20),
}


class BlobWriter(Protocol):
    """A blob that is being written; it becomes readable when the block around it ends well."""

    async def write(self, data: bytes) -> None:
        """Append bytes."""


class Blobs(Protocol):
    """Storage. Names are relative paths with ``/``. Every method may raise BlobOutageError."""

    async def put(self, name: str, data: bytes) -> None:
        """Store a blob whole."""

    def writer(self, name: str) -> AbstractAsyncContextManager[BlobWriter]:
        """Store a blob piece by piece; an error inside the block leaves nothing behind."""

    async def get(self, name: str) -> bytes:
        """Return a blob whole. Raises FileNotFoundError."""

    async def get_range(self, name: str, start: int, length: int) -> bytes:
        """Return `length` bytes from `start`. Raises FileNotFoundError."""

    def stream(self, name: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield a blob from `start` in pieces of about a MiB. Raises FileNotFoundError."""

    async def names(self, prefix: str) -> list[str]:
        """Return the names below a folder, in order."""

    async def delete(self, name: str) -> None:
        """Remove a blob; one that is not there is fine."""

    async def delete_below(self, prefix: str) -> None:
        """Remove every blob below a folder."""

    async def sweep(self, *, before: float) -> int:
        """Remove what writers left behind that died before `before` (Unix seconds); return how many."""

    async def ping(self) -> None:
        """Raise BlobOutageError when storage cannot be written."""


def open_blobs(url: str) -> Blobs:
    """Open ``file:///folder`` or an object store such as ``s3://bucket/prefix``."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return DiskBlobs(Path(unquote(parts.path)))
    return ObjectBlobs(from_url(url, client_options=_CLIENT, retry_config=_RETRY))


class DiskBlobs:
    """Blobs as files below a folder, synced to the disk before they get their name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lasting: set[Path] = set()
        self._root.mkdir(parents=True, exist_ok=True)

    async def put(self, name: str, data: bytes) -> None:
        try:
            await self._run(self._put, name, data)
        except FileNotFoundError as error:
            raise BlobOutageError(f"the folder of {name} was removed meanwhile") from error

    @asynccontextmanager
    async def writer(self, name: str) -> AsyncIterator[BlobWriter]:
        target = self._root / name
        partial = await self._run(self._new_partial, target)
        try:
            with partial.open("wb", buffering=0) as file:
                yield _DiskWriter(file)
                await _in_thread(lambda: _publish(file, partial, target))
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    async def get(self, name: str) -> bytes:
        return await self._run((self._root / name).read_bytes)

    async def get_range(self, name: str, start: int, length: int) -> bytes:
        return await self._run(self._read, name, start, length)

    async def stream(self, name: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        with await self._run(lambda: (self._root / name).open("rb", buffering=0)) as file:
            file.seek(start)
            left = length
            while left is None or left > 0:
                data = await _in_thread(file.read, CHUNK_BYTES if left is None else min(left, CHUNK_BYTES))
                if not data:
                    return
                left = None if left is None else left - len(data)
                yield data

    async def names(self, prefix: str) -> list[str]:
        return await self._run(self._names, prefix)

    async def delete(self, name: str) -> None:
        await self._run(lambda: (self._root / name).unlink(missing_ok=True))

    async def delete_below(self, prefix: str) -> None:
        self._lasting.clear()
        await self._run(lambda: shutil.rmtree(self._root / prefix, ignore_errors=True))

    async def sweep(self, *, before: float) -> int:
        return await self._run(self._sweep, before)

    async def ping(self) -> None:
        await _ping(self)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        """A disk that is not mounted is an outage: what lies on it is not gone."""
        try:
            return await _in_thread(work, *arguments)
        except FileNotFoundError as error:
            if await anyio.to_thread.run_sync(self._root.is_dir):
                raise
            raise BlobOutageError(f"the folder {self._root} is not there") from error

    def _put(self, name: str, data: bytes) -> None:
        target = self._root / name
        partial = self._new_partial(target)
        try:
            with partial.open("wb", buffering=0) as file:
                _write_all(file, data)
                _publish(file, partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def _read(self, name: str, start: int, length: int) -> bytes:
        with (self._root / name).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def _new_partial(self, target: Path) -> Path:
        """Make room for a file; its folders have to survive a power cut as well.

        One that somebody made and did not sync, because that failed or he died, is synced by whoever comes next.
        """
        if not self._root.is_dir():
            raise FileNotFoundError(self._root)
        for folder in reversed((target.parent, *target.parent.parents)):
            if self._root not in folder.parents or (folder in self._lasting and folder.is_dir()):
                continue
            folder.mkdir(exist_ok=True)
            _sync_folder(folder.parent)
            self._lasting.add(folder)
        return target.with_name(f"{target.name}.{secrets.token_hex(4)}{PARTIAL}")

    def _sweep(self, before: float) -> int:
        count = 0
        for path in _files_below(self._root):
            with suppress(FileNotFoundError):
                if path.suffix == PARTIAL and path.stat().st_mtime < before:
                    path.unlink()
                    count += 1
        return count

    def _names(self, prefix: str) -> list[str]:
        found = (path for path in _files_below(self._root / prefix) if path.suffix != PARTIAL)
        return sorted(path.relative_to(self._root).as_posix() for path in found)


class _DiskWriter:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def write(self, data: bytes) -> None:
        await _in_thread(_write_all, self._file, data)


class ObjectBlobs:
    """Blobs in an object store; a finished upload is durable by the store's own promise."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, name: str, data: bytes) -> None:
        with _outages():
            await obstore.put_async(self._store, name, data)

    @asynccontextmanager
    async def writer(self, name: str) -> AsyncIterator[BlobWriter]:
        opened = obstore.open_writer_async(self._store, name)
        yield _ObjectWriter(opened)
        with _outages():
            await opened.close()

    async def get(self, name: str) -> bytes:
        with _outages():
            found = await obstore.get_async(self._store, name)
            return bytes(await found.bytes_async())

    async def get_range(self, name: str, start: int, length: int) -> bytes:
        with _outages():
            return bytes(await obstore.get_range_async(self._store, name, start=start, length=length))

    async def stream(self, name: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        with _outages():
            span = {"offset": start} if length is None else (start, start + length)
            options = {"range": span} if start or length is not None else {}
            found = await obstore.get_async(self._store, name, options=options)  # type: ignore[arg-type]  # a TypedDict
            async for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    async def names(self, prefix: str) -> list[str]:
        with _outages():
            found = [meta["path"] async for page in obstore.list(self._store, prefix) for meta in page]
        return sorted(found)

    async def delete(self, name: str) -> None:
        with _outages():
            try:
                await obstore.delete_async(self._store, name)
            except FileNotFoundError:
                return

    async def delete_below(self, prefix: str) -> None:
        for name in await self.names(prefix):
            await self.delete(name)

    async def sweep(self, *, before: float) -> int:  # noqa: ARG002  # unfinished uploads are the bucket's to expire
        return 0

    async def ping(self) -> None:
        await _ping(self)


class _ObjectWriter:
    def __init__(self, opened: obstore.AsyncWritableFile) -> None:
        self._opened = opened

    async def write(self, data: bytes) -> None:
        with _outages():
            await self._opened.write(data)


async def _in_thread(work: Callable[..., T], *arguments: object) -> T:
    with _outages():
        return await anyio.to_thread.run_sync(work, *arguments)


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield every file; folders that others remove meanwhile are passed over, which `Path.rglob` does not."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def _write_all(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _publish(file: BinaryIO, partial: Path, target: Path) -> None:
    """Sync the bytes, then the name; a failed sync is never tried again on the same file."""
    os.fsync(file.fileno())
    partial.replace(target)
    _sync_folder(target.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


async def _ping(blobs: Blobs) -> None:
    """A full disk still has room for an empty file, so the probe is not empty."""
    name = f"probe/{secrets.token_hex(8)}"
    await blobs.put(name, bytes(PROBE_BYTES))
    await blobs.delete(name)


@contextmanager
def _outages() -> Iterator[None]:
    """Turn what storage says into our own error; a missing blob stays FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, BaseError) as error:
        said = str(error).partition("\n")[0]
        raise BlobOutageError(f"storage does not answer: {type(error).__name__}: {said}") from error
