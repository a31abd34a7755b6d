"""What the reaper removes, and what it must leave."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.worker.world import World, open_world, request_file

from pronk.domain.errors import NotFoundError
from pronk.domain.event import Event
from pronk.domain.file import File, Upload, UploadPart, UploadStatus
from pronk.domain.ids import DEFAULT_PROJECT, FileId, new_event_id, new_part_id, new_upload_id
from pronk.lifecycle.reaper import Reaper

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("both_databases")]

NOW = 2_000_000_000


async def _expire(world: World, file: File) -> File:
    """Replace a file's row by one whose time is over."""
    await world.store.files.delete(DEFAULT_PROJECT, file.id)
    file = msgspec.structs.replace(file, expires_at=NOW - 1)
    await world.store.files.add(file)
    return file


async def _reap(world: World, *, at: float = NOW) -> None:
    await Reaper(world.store, world.blobs, now=lambda: at).run_once()


async def test_files_go_when_their_time_is_over(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        gone, kept = await _expire(world, await world.add_file(b"a")), await world.add_file(b"b")
        await _reap(world)
        assert await world.blobs.names("files/") == [kept.blob]
        with pytest.raises(NotFoundError):
            await world.store.files.get(DEFAULT_PROJECT, gone.id, now=0)


async def test_an_expired_input_of_a_live_batch_stays_until_the_batch_ends(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        batch_id = await world.add_batch(request_file(3), file_expires_at=5)
        batch = await world.store.batches.get(None, batch_id)
        file = await world.store.files.get(DEFAULT_PROJECT, batch.input_file_id, now=0)
        await _reap(world)
        assert await world.blobs.names("files/") == [file.blob]
        async with world.working():
            await world.until_ended(batch_id)
        await _reap(world, at=NOW + 61)
        assert file.blob not in await world.blobs.names("files/")


async def test_uploads_end_after_their_hour_and_leave_no_parts(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        upload = Upload(
            id=new_upload_id(),
            project_id=DEFAULT_PROJECT,
            status=UploadStatus.PENDING,
            purpose="batch",
            filename="x",
            mime_type="text/plain",
            bytes=1,
            created_at=1,
            expires_at=NOW,
        )
        await world.store.uploads.add(upload)
        part_id = new_part_id()
        blob = f"uploads/{upload.id}/{part_id}"
        await world.blobs.put(blob, b"x")
        part = UploadPart(id=part_id, upload_id=upload.id, bytes=1, blob=blob, created_at=2)
        await world.store.uploads.add_part(DEFAULT_PROJECT, part)
        await _reap(world)
        assert await world.blobs.names("uploads/") == []
        assert (await world.store.uploads.get(DEFAULT_PROJECT, upload.id)).status is UploadStatus.EXPIRED


async def test_orphans_go_after_a_day_and_young_ones_stay(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        old, young = FileId(f"file-{1:011x}{0:016x}"), FileId(f"file-{NOW * 1000 - 5000:011x}{0:016x}")
        for file_id in (old, young):
            await world.blobs.put(f"files/{file_id}", b"x")
        kept = await world.add_file(b"b")
        await _reap(world)
        assert await world.blobs.names("files/") == sorted([f"files/{young}", kept.blob])


async def test_journals_of_ended_and_unknown_batches_go_and_live_ones_stay(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        live = await world.add_batch(request_file(3))
        for batch_id in (live, "batch_unknown"):
            await world.blobs.put(f"journals/{batch_id}/000000/000001-000001.jsonl", b"x")
        await _reap(world)
        assert await world.blobs.names("journals/") == [f"journals/{live}/000000/000001-000001.jsonl"]


async def test_a_chore_is_done_by_one_process_in_its_time(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        claims = [await world.store.chores.claim("x", now=now, every=60) for now in (100, 130, 159, 160, 161)]
    assert claims == [True, False, False, True, False]


async def test_the_audit_log_and_the_tokens_of_days_are_forgotten(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        for at in (NOW - 11 * 86_400, NOW - 9 * 86_400):
            event = Event(
                id=new_event_id(),
                project_id=DEFAULT_PROJECT,
                key_id=None,
                action="file.create",
                object_id="file-1",
                address="local",
                at=at,
            )
            await world.store.audit.add(event)
        await world.store.projects.add_tokens(DEFAULT_PROJECT, 5, now=NOW - 8 * 86_400)
        await world.store.projects.add_tokens(DEFAULT_PROJECT, 7, now=NOW)
        await Reaper(world.store, world.blobs, now=lambda: NOW, audit_seconds=10 * 86_400).run_once()
        assert [event.at for event in await world.store.audit.page(None)] == [NOW - 9 * 86_400]
        used = [
            (await world.store.projects.use(DEFAULT_PROJECT, now=at)).tokens_today
            for at in (NOW - 8 * 86_400, NOW)
        ]
        assert used == [0, 7]
        await Reaper(world.store, world.blobs, now=lambda: NOW + 7200).run_once()
        assert len(await world.store.audit.page(None)) == 1
