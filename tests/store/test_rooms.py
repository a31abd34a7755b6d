"""What is put into the store comes out again, and only to whom it belongs: every room but the leases."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.store.scenes import (
    ELSEWHERE,
    ENDING,
    NOW,
    OTHER,
    WORKER,
    a_batch,
    a_file,
    add_batch,
    cuts,
    start_batch,
    status_of,
    take,
    take_duty,
)

from pronk.domain.batch import MOVES, BatchStatus, Counts
from pronk.domain.errors import ConflictError, NotFoundError
from pronk.domain.file import Upload, UploadPart, UploadStatus
from pronk.domain.ids import DEFAULT_PROJECT, JobId, new_part_id, new_upload_id
from pronk.domain.job import Job
from pronk.domain.shard import Progress
from pronk.domain.usage import Usage
from pronk.store.batches import BatchPage
from pronk.store.files import FilePage
from pronk.store.jobs import StoredJob
from pronk.store.store import Store

pytestmark = pytest.mark.anyio


async def test_opening_again_changes_nothing_and_answers(store: Store) -> None:
    await store.open(now=NOW + 1)
    moves = await store._database.read(lambda tx: tx.all("list_moves"))
    assert {(row["from_status"], row["to_status"]) for row in moves} == {
        (str(old), str(new)) for old, after in MOVES.items() for new in after
    }
    await store.ping()


async def test_files_are_got_by_their_project_while_their_time_lasts(store: Store) -> None:
    file = a_file(expires_at=NOW + 5, filename="ü\0.jsonl")
    await store.files.add(file)
    found = await store.files.get(DEFAULT_PROJECT, file.id, now=NOW)
    assert msgspec.structs.replace(found, filename="") == msgspec.structs.replace(file, filename="")
    assert found.filename[0] == "ü"
    for project, now in ((ELSEWHERE, NOW), (DEFAULT_PROJECT, NOW + 5)):
        with pytest.raises(NotFoundError):
            await store.files.get(project, file.id, now=now)


async def test_files_are_listed_both_ways_page_by_page(store: Store) -> None:
    files = [a_file(purpose=purpose) for purpose in ("batch", "vision") * 3]
    for file in [*files, a_file(project=ELSEWHERE), a_file(expires_at=NOW)]:
        await store.files.add(file)
    ids = sorted(file.id for file in files)

    async def ids_of(**page: object) -> list[str]:
        return [file.id for file in await store.files.page(DEFAULT_PROJECT, FilePage(**page), now=NOW)]  # type: ignore[arg-type]

    assert await ids_of() == ids[::-1]
    assert await ids_of(descending=False, limit=2, after=ids[1]) == ids[2:4]
    assert await ids_of(limit=2, after=ids[3]) == ids[2:0:-1]
    visions = sorted(file.id for file in files if file.purpose == "vision")
    assert await ids_of(purpose="vision") == visions[::-1]
    assert await ids_of(purpose="vision", descending=False, after=visions[0]) == visions[1:]


async def test_a_file_is_deleted_once_and_not_under_a_live_batch(store: Store) -> None:
    file = a_file(expires_at=NOW)
    await store.files.add(file)
    batch_id = await store.batches.add(a_batch(file.id))
    with pytest.raises(ConflictError, match="is the input of batch"):
        await store.files.delete(DEFAULT_PROJECT, file.id)
    assert await store.files.list_expired(now=NOW, limit=5) == []
    await store.duties.fail_batch(await take_duty(store), [], model=None, now=NOW)
    assert await status_of(store, batch_id) is BatchStatus.FAILED
    assert [found.id for found in await store.files.list_expired(now=NOW, limit=5)] == [file.id]
    with pytest.raises(NotFoundError):
        await store.files.delete(ELSEWHERE, file.id)
    assert await store.files.delete(DEFAULT_PROJECT, file.id) == file.blob
    with pytest.raises(NotFoundError):
        await store.files.delete(DEFAULT_PROJECT, file.id)


async def test_a_batch_comes_back_as_it_was_added(store: Store) -> None:
    file = a_file()
    await store.files.add(file)
    more: dict[str, Any] = {
        "metadata": {"k": "v\0"},
        "expires_at": NOW + 600,
        "output_expires_after_seconds": 3600,
    }
    batch = a_batch(file.id, **more)
    assert await store.batches.add(batch) == batch.id
    assert await store.batches.get(DEFAULT_PROJECT, batch.id) == batch
    with pytest.raises(NotFoundError):
        await store.batches.get(ELSEWHERE, batch.id)


async def test_no_batch_is_made_of_a_file_that_is_not_the_projects(store: Store) -> None:
    file = a_file(project=ELSEWHERE)
    await store.files.add(file)
    for batch in (a_batch(file.id), a_batch(a_file().id)):
        with pytest.raises(NotFoundError, match="file"):
            await store.batches.add(batch)
    assert await store.batches.page(DEFAULT_PROJECT, BatchPage()) == []


async def test_a_key_gives_the_same_batch_for_a_day(store: Store) -> None:
    file = a_file()
    await store.files.add(file)
    first, second, third = (a_batch(file.id, created_at=NOW + wait) for wait in (0, 86_399, 86_400))
    assert await store.batches.add(first, idempotency=("k", "f")) == first.id
    assert await store.batches.add(second, idempotency=("k", "f")) == first.id
    with pytest.raises(ConflictError, match="another request"):
        await store.batches.add(second, idempotency=("k", "g"))
    assert await store.batches.find_by_key(DEFAULT_PROJECT, ("k", "f"), now=NOW + 86_399) == first.id
    assert await store.batches.find_by_key(DEFAULT_PROJECT, ("k", "f"), now=NOW + 86_400) is None
    assert await store.batches.find_by_key(ELSEWHERE, ("k", "f"), now=NOW) is None
    with pytest.raises(ConflictError, match="another request"):
        await store.batches.find_by_key(DEFAULT_PROJECT, ("k", "g"), now=NOW)
    assert await store.batches.add(third, idempotency=("k", "g")) == third.id
    assert len(await store.batches.page(DEFAULT_PROJECT, BatchPage())) == 2


async def test_batches_are_listed_newest_first_with_sums_of_their_shards(store: Store) -> None:
    ids = [await start_batch(store, shards=2, job=f"job-{number % 2}") for number in range(4)]
    await add_batch(store, project=ELSEWHERE)
    claim = await take(store)
    await store.shards.report([(claim, Progress(3, 1, Usage(5, 1, 6, 2)))])

    async def ids_of(**page: object) -> list[str]:
        return [batch.id for batch in await store.batches.page(DEFAULT_PROJECT, BatchPage(**page))]  # type: ignore[arg-type]

    assert await ids_of() == ids[::-1]
    assert await ids_of(limit=2, after=ids[3]) == [ids[2], ids[1]]
    assert await ids_of(job_id="job-1") == [ids[3], ids[1]]
    assert await ids_of(job_id="job-1", status="failed") == []
    assert await ids_of(status="in_progress", after=ids[1]) == [ids[0]]
    by_id = {batch.id: batch for batch in await store.batches.page(DEFAULT_PROJECT, BatchPage())}
    assert by_id[claim.batch_id].counts == Counts(20, 3, 1)
    assert by_id[claim.batch_id].usage == Usage(5, 1, 6, 2)
    assert await store.batches.get(None, claim.batch_id) == by_id[claim.batch_id]


async def test_live_batches_are_counted_by_status(store: Store) -> None:
    await start_batch(store)
    failed = await add_batch(store)
    await store.duties.fail_batch(await take_duty(store), [], model=None, now=NOW)
    await add_batch(store)
    assert await status_of(store, failed) is BatchStatus.FAILED
    assert await store.batches.count_by_status() == {"in_progress": 1, "validating": 1}


async def test_jobs_are_added_changed_listed_and_deleted(store: Store) -> None:
    jobs = {name: Job(id=JobId(name), model="m") for name in ("job-b", "job-B", "job-a_")}
    for job in jobs.values():
        await store.jobs.add(DEFAULT_PROJECT, job, now=NOW)
    with pytest.raises(ConflictError):
        await store.jobs.add(DEFAULT_PROJECT, jobs["job-b"], now=NOW)
    assert [stored.job.id for stored in await store.jobs.page(DEFAULT_PROJECT)] == [
        "job-B",
        "job-a_",
        "job-b",
    ]
    assert [stored.job.id for stored in await store.jobs.page(DEFAULT_PROJECT, after="job-B", limit=1)] == [
        "job-a_"
    ]
    changed = Job(id=JobId("job-b"), model="n")
    assert await store.jobs.update(DEFAULT_PROJECT, changed, now=NOW + 1)
    assert not await store.jobs.update(ELSEWHERE, changed, now=NOW)
    assert await store.jobs.find(DEFAULT_PROJECT, "job-b") == StoredJob(changed, NOW, DEFAULT_PROJECT)
    assert await store.jobs.find(ELSEWHERE, "job-b") is None
    await add_batch(store, job="job-b")
    assert not await store.jobs.delete(DEFAULT_PROJECT, JobId("job-b"))
    assert await store.jobs.delete(DEFAULT_PROJECT, JobId("job-B"))
    assert not await store.jobs.delete(DEFAULT_PROJECT, JobId("job-B"))


async def test_uploads_take_parts_until_they_end(store: Store) -> None:
    upload = Upload(
        id=new_upload_id(),
        project_id=DEFAULT_PROJECT,
        status=UploadStatus.PENDING,
        purpose="batch",
        filename="x",
        mime_type="text/plain",
        bytes=2,
        created_at=NOW,
        expires_at=NOW + 3600,
    )
    await store.uploads.add(upload)
    assert await store.uploads.get(DEFAULT_PROJECT, upload.id) == upload
    parts = [
        UploadPart(id=new_part_id(), upload_id=upload.id, bytes=1, blob="b", created_at=NOW) for _ in "12"
    ]
    for part in parts:
        await store.uploads.add_part(DEFAULT_PROJECT, part)
    assert sorted(part.id for part in await store.uploads.list_parts(upload.id)) == sorted(
        part.id for part in parts
    )
    late = msgspec.structs.replace(parts[0], id=new_part_id(), created_at=NOW + 3600)
    with pytest.raises(ConflictError):
        await store.uploads.add_part(DEFAULT_PROJECT, late)
    assert await store.uploads.list_stale(now=NOW, limit=5) == []
    assert [stale.id for stale in await store.uploads.list_stale(now=NOW + 3600, limit=5)] == [upload.id]
    file = a_file()
    ended = await store.uploads.end(upload, UploadStatus.COMPLETED, file)
    assert (ended.status, ended.file_id) == (UploadStatus.COMPLETED, file.id)
    with pytest.raises(ConflictError):
        await store.uploads.end(upload, UploadStatus.COMPLETED, a_file())
    assert [found.id for found in await store.files.page(DEFAULT_PROJECT, FilePage(), now=NOW)] == [file.id]
    with pytest.raises(NotFoundError):
        await store.uploads.get(ELSEWHERE, upload.id)


async def test_workers_are_seen_found_and_forgotten(store: Store) -> None:
    assert await store.workers.see(WORKER, host="h", pid=7, now=NOW) == 1
    assert await store.workers.see(OTHER, host="h", pid=7, now=NOW + 9) == 2
    assert await store.workers.see(OTHER, host="h", pid=7, now=NOW + 10) == 1
    assert await store.workers.see(WORKER, host="h", pid=7, now=NOW + 20) == 1
    assert await store.workers.count(since=NOW + 10) == 1
    assert await store.workers.find_of_process(host="h", pid=7) == OTHER
    assert await store.workers.find_of_process(host="h", pid=8) is None
    assert await store.workers.of_host("h") == [(WORKER, 7), (OTHER, 7)]
    await store.workers.forget_old(now=NOW + 3615)
    assert await store.workers.of_host("h") == [(WORKER, 7)]


async def test_a_chore_is_claimed_once_in_its_time(store: Store) -> None:
    claims = [await store.chores.claim("x", now=NOW + wait, every=60) for wait in (0, 30, 59.5, 60, 61)]
    assert claims == [True, False, False, True, False]


async def test_housekeeping_knows_files_and_journals(store: Store) -> None:
    file = a_file(project=ELSEWHERE)
    await store.files.add(file)
    assert await store.chores.has_file(file.id)
    assert not await store.chores.has_file("file-x")
    batch_id = await start_batch(store)
    assert await store.chores.needs_journal(batch_id)
    assert not await store.chores.needs_journal("batch_x")
    await store.batches.cancel(DEFAULT_PROJECT, batch_id, now=NOW)
    await store.duties.end_batch(await take_duty(store), ENDING, now=NOW)
    assert not await store.chores.needs_journal(batch_id)


async def test_regions_are_remembered(store: Store) -> None:
    assert await store.regions.find_region("b") is None
    await store.regions.remember_region("b", "eu-west-1")
    await store.regions.remember_region("b", "eu-west-2")
    assert await store.regions.find_region("b") == "eu-west-2"


async def test_shards_are_listed_in_input_order(store: Store) -> None:
    batch_id = await start_batch(store, shards=12)
    assert [cut for cut, _, _ in await store.shards.of_batch(batch_id)] == cuts(12)
