"""Objects kept on disk for all workers of a machine, and the files that engines on it are pointed to.

``objects/`` holds contents under their hash, so the same picture under many names is kept once; engines may be allowed to
read it. ``names/`` holds, per cache key, which content it is and how current. Losing any of it costs a fetch, no more, so
nothing is synced, and a disk that is full or broken is simply not used for a while.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import anyio
import anyio.to_thread
import msgspec

from pronk.media.cache import CacheKey, Medium
from pronk.media.sniff import Looks

_QUEUE_BYTES = 32_000_000
_SWEEP_EVERY = 256_000_000
_KEPT_SECONDS = 1800.0
"""A file that was handed over is not removed for so long: an engine may be about to read it. Its time stamp says until when."""
_TOUCH_SECONDS = 60.0
_REST_SECONDS = 60.0
_MAX_HANDED = 10_000
_MAX_NOTE_BYTES = 1_000_000
_AT_ONCE = 32
_DOUBT_AFTER_BYTES = 16_000_000
_SAMPLE = 128
"""One object in so many is kept while nothing of what was kept is ever asked for again."""
_EXTENSIONS = {"image/jpeg": "jpg", "image/svg+xml": "bin"}


class _Note(msgspec.Struct, array_like=True):
    """What a file below ``names/`` says."""

    hash: str
    looks: Looks
    etag: str | None
    current_at: float
    via: tuple[str, ...]
    changed: bool


_NOTE = msgspec.msgpack.Decoder(_Note)


class _Handed(msgspec.Struct, frozen=True):
    """A file that an engine was pointed to of late: as long as the same object is asked for, nothing is looked at again."""

    medium: weakref.ref[Medium]
    at: float
    url: str
    hash: str


class DiskCache:
    """At most about `max_bytes` below `folder`. `run` writes in the background; what it cannot keep up with is not kept."""

    def __init__(self, folder: Path, max_bytes: int, clock: Callable[[], float]) -> None:
        self.objects = folder.absolute() / "objects"
        self._names = folder.absolute() / "names"
        self._max_bytes = max_bytes
        self._clock = clock
        self._queued = 0
        self._sweep_every = min(_SWEEP_EVERY, max_bytes // 10)
        self._unswept = self._sweep_every
        self._crowded_until = 0.0
        self._rest_until = 0.0
        self._bytes_since_hit = 0
        self._handed: OrderedDict[CacheKey, _Handed] = OrderedDict()
        self._send, self._receive = anyio.create_memory_object_stream[Medium](10_000)

    @property
    def is_crowded(self) -> bool:
        """Whether files that may not be removed yet took all the room a moment ago: then nothing more is kept."""
        return self._clock() < self._crowded_until

    async def find(self, key: CacheKey) -> Medium | None:
        """Return the object, its bytes checked against their hash."""
        if self._is_doubted(key):
            return None
        note = self._note(key)
        if note is None:
            return None
        path = self._path(note.hash, note.looks.type)
        data = await anyio.to_thread.run_sync(_read_checked, path, note.hash, self._clock() - _TOUCH_SECONDS)
        if data is None:
            return None
        self._bytes_since_hit = 0
        return Medium(
            data=data,
            looks=note.looks,
            etag=note.etag,
            current_at=note.current_at,
            key=key,
            via=note.via,
            changed=note.changed,
            hash=note.hash,
        )

    def offer(self, medium: Medium) -> None:
        """Keep the object soon, if there is time; while nothing is ever asked for again, only a sample is kept."""
        if (
            medium.key is None
            or self._is_doubted(medium.key)
            or self._queued + len(medium.data) > _QUEUE_BYTES
            or self._clock() < self._rest_until
            or self.is_crowded
        ):
            return
        self._bytes_since_hit += len(medium.data)
        with suppress(anyio.WouldBlock, anyio.ClosedResourceError):
            self._send.send_nowait(medium)
            self._queued += len(medium.data)

    async def file_of(self, medium: Medium) -> tuple[str, str]:
        """Return the ``file://`` URL of a file with the object's bytes, there for half an hour or nearly so, and their hash. May raise OSError."""
        handed, now = self._handed.get(medium.key) if medium.key is not None else None, self._clock()
        if handed is not None and handed.medium() is medium and now < handed.at + _TOUCH_SECONDS:
            return handed.url, handed.hash
        path, digest = await anyio.to_thread.run_sync(self._write_object, medium, now + _KEPT_SECONDS)
        url = path.as_uri()
        if medium.key is not None:
            self._handed[medium.key] = _Handed(weakref.ref(medium), now, url, digest)
            self._handed.move_to_end(medium.key)
            if len(self._handed) > _MAX_HANDED:
                self._handed.popitem(last=False)
        return url, digest

    async def run(self) -> None:
        """Write what was offered, until cancelled."""
        with self._send, self._receive:
            async for medium in self._receive:
                media = [medium, *self._waiting()]
                try:
                    await anyio.to_thread.run_sync(self._write_all, media)
                except OSError:
                    self._rest_until = self._clock() + _REST_SECONDS
                finally:
                    self._queued -= sum(len(medium.data) for medium in media)

    def close(self) -> None:
        """Take no more offers; `run` does this at its end."""
        self._send.close()
        self._receive.close()

    def sweep(self) -> None:
        """Remove what was not used for longest until there is room; one process of the machine at a time. Blocks."""
        self.objects.mkdir(parents=True, exist_ok=True)
        with (self.objects.parent / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return
            found = sorted(_files(self.objects) + _files(self._names))
            used = sum(size for _, size, _ in found)
            for mtime, size, path in found:
                if used <= self._max_bytes * 9 // 10 or mtime > self._clock():
                    break
                path.unlink(missing_ok=True)
                used -= size
            if used > self._max_bytes:
                self._crowded_until = self._clock() + _REST_SECONDS

    def _is_doubted(self, key: CacheKey) -> bool:
        """Whether to pass a key by: to write and to look for objects that nobody wants twice is a tenth of all that a picture costs.

        What had to be made is worth more, and always kept.
        """
        if self._bytes_since_hit <= _DOUBT_AFTER_BYTES or key.pixels is not None:
            return False
        return crc32(key.name.encode("utf-8", "surrogatepass")) % _SAMPLE != 0

    def _note(self, key: CacheKey) -> _Note | None:
        """Read what is known of a key, without a thread: nearly always there is nothing, which takes some microseconds."""
        digest = key.digest()
        try:
            file = os.open(f"{self._names}/{digest[:2]}/{digest}", os.O_RDONLY)
        except OSError:
            return None
        try:
            return _NOTE.decode(os.read(file, _MAX_NOTE_BYTES))
        except (OSError, msgspec.DecodeError):
            return None
        finally:
            os.close(file)

    def _waiting(self) -> list[Medium]:
        """Take what else has been offered: a thread is called once for all of it."""
        media: list[Medium] = []
        with suppress(anyio.WouldBlock, anyio.EndOfStream):
            while len(media) < _AT_ONCE:
                media.append(self._receive.receive_nowait())
        return media

    def _write_all(self, media: list[Medium]) -> None:
        for medium in media:
            self._write(medium)

    def _write(self, medium: Medium) -> None:
        assert medium.key is not None  # noqa: S101  # offer takes no others
        _, digest = self._write_object(medium, self._clock())
        note = _Note(digest, medium.looks, medium.etag, medium.current_at, medium.via, medium.changed)
        _put(self._name_path(medium.key), msgspec.msgpack.encode(note))

    def _write_object(self, medium: Medium, stamp: float) -> tuple[Path, str]:
        digest = medium.hash or content_hash(medium.data)
        path = self._path(digest, medium.looks.type)
        try:
            if os.stat(path).st_mtime < stamp - _TOUCH_SECONDS:  # noqa: PTH116  # a Path costs more than the call
                os.utime(path, (stamp, stamp))
        except FileNotFoundError:
            self._put_whole(path, medium.data, stamp)
            self._unswept += len(medium.data)
        if self._unswept > self._sweep_every:
            self._unswept = 0
            self.sweep()
        return Path(path), digest

    def _put_whole(self, path: str, data: bytes, stamp: float) -> None:
        """Put an object in place whole or not at all: engines read it without a look at its hash."""
        beside = f"{os.path.dirname(path)}/.{secrets.token_hex(8)}"  # noqa: PTH120
        try:
            _put(beside, data, stamp)
            os.replace(beside, path)  # noqa: PTH105
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise

    def _path(self, digest: str, type_: str) -> str:
        extension = _EXTENSIONS.get(type_) or type_.rpartition("/")[2]
        return f"{self.objects}/{digest[:2]}/{digest}.{extension}"

    def _name_path(self, key: CacheKey) -> str:
        digest = key.digest()
        return f"{self._names}/{digest[:2]}/{digest}"


def content_hash(data: bytes) -> str:
    """Return the name of these bytes: 40 hex digits of SHA-256, for which processors have instructions."""
    return sha256(data).hexdigest()[:40]


def _read_checked(name: str, digest: str, touch_before: float) -> bytes | None:
    path = Path(name)
    try:
        data = path.read_bytes()
        if content_hash(data) != digest:
            path.unlink(missing_ok=True)
            return None
        if path.stat().st_mtime < touch_before:
            os.utime(path)
    except OSError:
        return None
    return data


def _put(path: str, data: bytes, stamp: float | None = None) -> None:
    """Write a file; a torn one is no harm, for its content is checked. In few calls: each gives up the interpreter's lock once."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        file = os.open(path, flags, 0o644)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, flags, 0o644)
    try:
        if os.write(file, data) < len(data):
            raise OSError(errno.ENOSPC, "the disk took a part only", path)
        if stamp is not None and abs(stamp - time.time()) > _TOUCH_SECONDS:
            os.utime(file, (stamp, stamp))
    finally:
        os.close(file)


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    found = []
    for path in folder.glob("*/*"):
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    return found
