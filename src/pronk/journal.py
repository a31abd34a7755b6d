"""The parts of a shard: immutable blobs that hold finished result lines until a batch is finalized.

A part is one header line (a checksum of all that follows it, then JSON) and, behind it, result lines exactly as they will
stand in a result file. S3 cannot append, so a journal is a series of parts, on disk as well. A part counts only after it is
synced; one that is cut or changed is noticed by its checksum and counts as not there, so its lines run again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import anyio.to_thread
import msgspec
import structlog

from pronk.blobs import Blobs
from pronk.domain.errors import BlobOutageError
from pronk.domain.ids import BatchId
from pronk.domain.shard import Claim, Progress
from pronk.domain.usage import NO_USAGE, Usage
from pronk.telemetry.metrics import PARTS_DAMAGED

log = structlog.get_logger()

CHECKSUM_CHARS = 32
READS = 2


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of one result line without reading it.

    `line` counts from 1; `size` is bytes with the newline; `code` is None for an answer, else the error's code or the
    engine's status as text. `facts` is whatever else was measured (tries, timings, replica, images), as JSON.
    """

    line: int
    size: int
    code: str | None = None
    usage: Usage = NO_USAGE
    facts: msgspec.Raw = msgspec.Raw(b"null")


class _Header(msgspec.Struct, frozen=True):
    marks: list[Mark]
    bytes: int


_decode_header = msgspec.json.Decoder(_Header).decode
_encode = msgspec.json.Encoder().encode


class Part:
    """Result lines that are being gathered for the next part of a shard. Not yet durable."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.lines: list[bytes] = []
        self.size = 0

    def add(self, mark: Mark, line: bytes) -> None:
        """Append a result line that ends in a newline."""
        self.marks.append(mark)
        self.lines.append(line)
        self.size += mark.size

    def absorb(self, later: Part) -> None:
        """Append everything that another part has gathered."""
        self.marks += later.marks
        self.lines += later.lines
        self.size += later.size

    def encode(self) -> bytes:
        """Return the part as it is stored."""
        body = b"".join(self.lines)
        rest = b"%b\n%b" % (_encode(_Header(self.marks, len(body))), body)
        return b"%b %b" % (_checksum(rest), rest)


def decode_part(data: bytes) -> Iterator[tuple[Mark, bytes]]:
    """Yield the result lines of a stored part. Raises ValueError for one that is cut or changed, before any line."""
    rest = memoryview(data)[CHECKSUM_CHARS + 1 :]
    if data[: CHECKSUM_CHARS + 1] != _checksum(rest) + b" ":
        raise ValueError("a part whose bytes are not those that were written")
    end = data.index(b"\n")
    return _split(_decode_header(data[CHECKSUM_CHARS + 1 : end]).marks, data, end + 1)


class Journal:
    """The parts of all shards."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def append(self, claim: Claim, sequence: int, part: Part) -> None:
        """Make a part durable. Raises BlobOutageError: then nothing of it counts and its name is not used again.

        The name is the writer's own, so that even a database that was put back to an earlier state overwrites no part.
        """
        writer = claim.worker_id[-8:]
        name = (
            f"{_shard_folder(claim.batch_id, claim.number)}{claim.attempt:06d}-{sequence:06d}-{writer}.jsonl"
        )
        await self._blobs.put(name, await anyio.to_thread.run_sync(part.encode))

    async def read(self, batch_id: BatchId, number: int) -> dict[int, tuple[Mark, bytes]]:
        """Return the result lines of a shard by line number.

        The oldest part that holds a line wins, so every reader sees the same answer whatever late writers add.
        """
        found: dict[int, tuple[Mark, bytes]] = {}
        for name in await self._blobs.names(_shard_folder(batch_id, number)):
            for mark, line in await self._part(name):
                found.setdefault(mark.line, (mark, line))
        return found

    async def progress(self, batch_id: BatchId, number: int) -> tuple[set[int], Progress]:
        """Return which lines of a shard are answered already, and the sums over them."""
        found = await self.read(batch_id, number)
        return set(found), sum_marks(mark for mark, _ in found.values())

    async def drop(self, batch_id: BatchId) -> None:
        """Remove every part of a batch."""
        await self._blobs.delete_below(f"journals/{batch_id}/")

    async def _part(self, name: str) -> Iterator[tuple[Mark, bytes]]:
        """Return a part's lines, none of one that is damaged; what was only read wrongly is right the next time."""
        for _ in range(READS):
            try:
                data = await self._blobs.get(name)
                return await anyio.to_thread.run_sync(decode_part, data)
            except ValueError:
                continue
            except FileNotFoundError as error:
                raise BlobOutageError(f"the part {name} was listed and is not there") from error
        log.error("part_damaged", part=name)
        PARTS_DAMAGED.inc()
        return iter(())


def sum_marks(marks: Iterator[Mark]) -> Progress:
    """Return how many lines were answered and failed, and their tokens."""
    count = failed = read = cached = wrote = reasoned = 0
    for mark in marks:
        usage = mark.usage
        count += 1
        failed += mark.code is not None
        read += usage.input_tokens
        cached += usage.cached_tokens
        wrote += usage.output_tokens
        reasoned += usage.reasoning_tokens
    return Progress(count - failed, failed, Usage(read, cached, wrote, reasoned))


def _split(marks: list[Mark], data: bytes, start: int) -> Iterator[tuple[Mark, bytes]]:
    for mark in marks:
        yield mark, data[start : start + mark.size]
        start += mark.size


def _shard_folder(batch_id: BatchId, number: int) -> str:
    return f"journals/{batch_id}/{number:06d}/"


def _checksum(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=16).hexdigest().encode()
