"""Batches in this process, without a server: the same store, journal and worker."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from pronk.app import entry
from pronk.app.carry import chunks_of
from pronk.app.host import free_the_dead
from pronk.app.launching import launched
from pronk.app.parts import Parts, make_errands, make_worker, open_parts
from pronk.blobs import CHUNK_BYTES
from pronk.domain.batch import ENDPOINTS, Batch
from pronk.domain.errors import InvalidRequestError, NotFoundError
from pronk.domain.file import File
from pronk.domain.ids import DEFAULT_PROJECT, BatchId, FileId
from pronk.domain.job import DEFAULT_JOB, Job
from pronk.domain.lines import RequestLine
from pronk.domain.window import UNLIMITED
from pronk.linewise import numbered
from pronk.media.whole import ANY
from pronk.settings import Settings

LOOK_SECONDS = 0.25


class RunOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended; a place is None when there was nothing to write to it."""

    batch: Batch
    output: str | None
    errors: str | None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What to run and where the results go: paths, or objects such as ``s3://bucket/key``."""

    input: str
    output: str
    errors: str


def run_files(
    settings: Settings, runs: Sequence[Run], progress: Callable[[Sequence[Batch]], None]
) -> list[RunOutcome]:
    """Answer every request of some files; the same files again go on where they stopped.

    Raises InvalidRequestError when a file's first line names no endpoint that is served, MediaError for an object that cannot be
    read or written.
    """
    return entry.run(settings, _run, settings, runs, progress)


async def _run(
    settings: Settings, runs: Sequence[Run], progress: Callable[[Sequence[Batch]], None]
) -> list[RunOutcome]:
    alone = msgspec.structs.replace(settings, workers=1)
    async with launched(alone) as ready, open_parts(ready) as parts:
        await free_the_dead(parts.store)
        batch_ids = [await _ensure_batch(parts, run.input) for run in runs]
        draining = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(make_worker(parts).run, draining)
            batches = await _wait(parts, batch_ids, progress)
            draining.set()
        await make_errands(parts).run_once()
        return [await _outcome(parts, run, batch) for run, batch in zip(runs, batches, strict=True)]


async def _outcome(parts: Parts, run: Run, batch: Batch) -> RunOutcome:
    return RunOutcome(
        batch=batch,
        output=await _fetch(parts, batch.output_file_id, run.output),
        errors=await _fetch(parts, batch.error_file_id, run.errors),
    )


async def _wait(
    parts: Parts, batch_ids: Sequence[BatchId], progress: Callable[[Sequence[Batch]], None]
) -> list[Batch]:
    while True:
        batches = [await parts.store.batches.get(None, batch_id) for batch_id in batch_ids]
        progress(batches)
        if all(batch.is_terminal for batch in batches):
            return batches
        await anyio.sleep(LOOK_SECONDS)


async def _ensure_batch(parts: Parts, source: str) -> BatchId:
    """Find the batch that an earlier run of the same bytes began, or make it."""
    digest = await _digest(parts, source)
    batch_id, file_id = BatchId(f"batch_{digest}"), FileId(f"file-{digest}")
    try:
        return (await parts.store.batches.get(None, batch_id)).id
    except NotFoundError:
        pass
    file = await _take_file(parts, source, file_id)
    await parts.store.batches.add(
        Batch(
            id=batch_id,
            project_id=DEFAULT_PROJECT,
            status="validating",  # type: ignore[arg-type]
            endpoint=await _stored_endpoint(parts, source, file),
            input_file_id=file.id,
            completion_window=UNLIMITED,
            job=job_of(parts.settings),
            created_at=int(time.time()),
        )
    )
    return batch_id


async def _take_file(parts: Parts, source: str, file_id: FileId) -> File:
    try:
        return await parts.store.files.get(DEFAULT_PROJECT, file_id, now=0)
    except NotFoundError:
        pass
    blob, size, digest = f"files/{file_id}", 0, hashlib.sha256()
    async with parts.blobs.writer(blob) as writer:
        async for data in _chunks(parts, source):
            size += len(data)
            digest.update(data)
            await writer.write(data)
    file = File(
        id=file_id,
        project_id=DEFAULT_PROJECT,
        purpose="batch",
        filename=source.rpartition("/")[2],
        bytes=size,
        blob=blob,
        created_at=int(time.time()),
        sha256=digest.hexdigest(),
    )
    await parts.store.files.add(file)
    return file


def _chunks(parts: Parts, source: str) -> AsyncIterator[bytes]:
    if is_object(source):
        return parts.resolver.whole.read(source, ANY, parts.settings.max_file_bytes)
    return chunks_of(Path(source))


async def _fetch(parts: Parts, file_id: FileId | None, target: str) -> str | None:
    """Copy a result file to where the caller wants it; it gets its name only when it is whole."""
    if file_id is None:
        return None
    file = await parts.store.files.get(DEFAULT_PROJECT, file_id, now=0)
    if is_object(target):
        await parts.resolver.whole.write(target, lambda: parts.blobs.stream(file.blob))
        return target
    partial = f"{target}.{os.getpid()}.partial"
    async with await anyio.open_file(partial, "wb") as sink:
        async for data in parts.blobs.stream(file.blob):
            await sink.write(data)
    await anyio.Path(partial).replace(target)
    return target


def is_object(place: str) -> bool:
    """Return whether a place is in an object store rather than here."""
    return place.startswith(("s3://", "gs://", "az://"))


def job_of(settings: Settings) -> Job:
    """Return the job of a run that names none: ``job-default``, or the only one there is."""
    if DEFAULT_JOB in settings.jobs or len(settings.jobs) != 1:
        return settings.jobs.get(DEFAULT_JOB, Job(id=DEFAULT_JOB, engine=next(iter(settings.engines))))
    return next(iter(settings.jobs.values()))


def endpoint_of(path: Path) -> str:
    """Read the endpoint off the first request; validation checks the others against it."""
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"")
    return _checked_endpoint(str(path), first)


async def _stored_endpoint(parts: Parts, source: str, file: File) -> str:
    async with aclosing(numbered(parts.blobs.stream(file.blob))) as lines:  # type: ignore[type-var]  # a generator
        async for _, line in lines:
            return _checked_endpoint(source, line)
    return _checked_endpoint(source, b"")


def _checked_endpoint(name: str, first: bytes) -> str:
    try:
        url = msgspec.json.decode(first.removeprefix(b"\xef\xbb\xbf"), type=RequestLine).url
    except msgspec.DecodeError:
        url = ""
    if url not in ENDPOINTS:
        known = ", ".join(ENDPOINTS)
        raise InvalidRequestError(
            f"{name}: the first line's url is {url!r}; each line is a request such as "
            f'{{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{{…}}}} with one of {known}'
        )
    return url


async def _digest(parts: Parts, source: str) -> str:
    """Return what tells these bytes in this place from others; of an object, its version does."""
    if is_object(source):
        size, etag = await parts.resolver.whole.etag(source)
        return hashlib.blake2b(f"{source} {size} {etag}".encode(), digest_size=13).hexdigest()
    return await anyio.to_thread.run_sync(_file_digest, Path(source))


def _file_digest(path: Path) -> str:
    digest = hashlib.blake2b(str(path.resolve()).encode(), digest_size=13)
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            digest.update(data)
    return digest.hexdigest()
