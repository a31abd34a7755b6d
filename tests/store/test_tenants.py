"""Keys, projects, quotas and the audit log on every database."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.store.databases import Opener
from tests.store.scenes import (
    ELSEWHERE,
    LATE,
    NOW,
    WORKER,
    a_batch,
    a_file,
    add_batch,
    cuts,
    opened,
    start_batch,
    take,
    take_duty,
)

from pronk.domain.batch import BatchStatus, Counts
from pronk.domain.errors import ConflictError, NotFoundError, RateLimitError
from pronk.domain.event import Event
from pronk.domain.file import Upload, UploadStatus
from pronk.domain.ids import (
    DEFAULT_PROJECT,
    JobId,
    ProjectId,
    new_event_id,
    new_key_id,
    new_project_id,
    new_upload_id,
)
from pronk.domain.job import Job
from pronk.domain.key import Key, Scope, hash_of, new_secret
from pronk.domain.project import Limits, Project
from pronk.domain.shard import Progress
from pronk.domain.usage import Usage
from pronk.store.batches import BatchPage
from pronk.store.duties import Ending
from pronk.store.jobs import StoredJob
from pronk.store.store import Store

pytestmark = pytest.mark.anyio
DAY = 86_400


def a_key(secret: str, project: ProjectId = DEFAULT_PROJECT, **more: Any) -> Key:
    plain: dict[str, Any] = {"name": "ci", "scopes": (Scope.WRITE,), "created_at": NOW}
    return Key(id=new_key_id(), project_id=project, prefix=secret[:12], **(plain | more))


async def test_a_key_is_found_by_its_hash_with_its_projects_limits(store: Store) -> None:
    assert not await store.keys.exist()
    before = await store.keys.find(hash_of("pronk_unknown"))
    assert (before.key, before.is_keyed) == (None, False)
    secret = new_secret()
    key = a_key(secret, ELSEWHERE, expires_at=NOW + 9)
    await store.keys.add(key, hash_of(secret))
    await store.projects.update(ELSEWHERE, limits=Limits(max_live_batches=3))
    found = await store.keys.find(hash_of(secret))
    assert (found.key, found.is_keyed, found.limits) == (key, True, Limits(max_live_batches=3))
    other = await store.keys.find(hash_of("pronk_unknown"))
    assert (other.key, other.is_keyed, other.limits) == (None, True, Limits())
    assert [key.holds(NOW), key.holds(NOW + 9)] == [True, False]


async def test_nothing_that_is_stored_gives_a_key_away(store: Store) -> None:
    secret = new_secret()
    await store.keys.add(a_key(secret), hash_of(secret))
    row = await store._database.read(lambda tx: tx.one("find_api_key", hash=hash_of(secret)))
    assert row is not None
    assert secret[12:] not in str(dict(row))


async def test_keys_belong_to_their_project_and_are_revoked_once(store: Store) -> None:
    mine, theirs = a_key("a" * 49), a_key("b" * 49, ELSEWHERE)
    for number, key in enumerate((mine, theirs)):
        await store.keys.add(key, hash_of(str(number)))
    assert await store.keys.page(DEFAULT_PROJECT) == [mine]
    assert {key.id for key in await store.keys.page(None)} == {mine.id, theirs.id}
    assert await store.keys.page(ELSEWHERE, after=theirs.id) == []
    for ask in (
        store.keys.get(DEFAULT_PROJECT, theirs.id),
        store.keys.revoke(DEFAULT_PROJECT, theirs.id, now=NOW),
        store.keys.add(a_key("c" * 49, ProjectId("proj_none")), "x"),
    ):
        with pytest.raises(NotFoundError):
            await ask
    assert (await store.keys.revoke(None, theirs.id, now=NOW + 1)).revoked_at == NOW + 1
    again = await store.keys.revoke(ELSEWHERE, theirs.id, now=NOW + 2)
    assert (again.revoked_at, again.holds(NOW)) == (NOW + 1, False)
    assert (await store.keys.get(None, mine.id)).revoked_at is None


async def test_the_last_use_is_kept_to_the_minute(store: Store) -> None:
    key = a_key("a" * 49)
    await store.keys.add(key, "h")
    seen = []
    for now in (NOW, NOW + 59, NOW + 60):
        await store.keys.touch(key.id, now=now)
        seen.append((await store.keys.get(None, key.id)).last_used_at)
    assert seen == [NOW, NOW, NOW + 60]


async def test_projects_have_names_of_their_own(store: Store) -> None:
    project = Project(id=new_project_id(), name="team a", created_at=NOW, limits=Limits(max_stored_bytes=5))
    await store.projects.add(project)
    assert await store.projects.get(project.id) == project
    assert await store.projects.find_by_name("team a") == project
    assert await store.projects.find_by_name("team b") is None
    assert project in await store.projects.page()
    with pytest.raises(ConflictError):
        await store.projects.add(Project(id=new_project_id(), name="team a", created_at=NOW))
    with pytest.raises(ConflictError):
        await store.projects.update(project.id, name="elsewhere")
    with pytest.raises(NotFoundError):
        await store.projects.update(ProjectId("proj_none"), name="x")
    changed = await store.projects.update(project.id, name="team b")
    assert (changed.name, changed.limits) == ("team b", project.limits)
    assert (await store.projects.update(project.id, name="team b", limits=Limits())).limits == Limits()


async def test_what_a_project_stores_is_bounded(store: Store) -> None:
    await store.projects.update(DEFAULT_PROJECT, limits=Limits(max_stored_bytes=100))
    kept = a_file(bytes=60)
    await store.files.add(kept)
    await store.files.add(a_file(bytes=1000, project=ELSEWHERE))
    upload = Upload(
        id=new_upload_id(), project_id=DEFAULT_PROJECT, status=UploadStatus.PENDING, purpose="batch",
        filename="a", mime_type="x", bytes=30, created_at=NOW, expires_at=NOW + 5,
    )  # fmt: skip
    await store.uploads.add(upload)
    with pytest.raises(RateLimitError) as refused:
        await store.files.add(a_file(bytes=11))
    assert refused.value.code == "stored_bytes_exceeded"
    with pytest.raises(RateLimitError):
        await store.files.check_room(DEFAULT_PROJECT, 11, now=NOW)
    await store.files.check_room(DEFAULT_PROJECT, 10, now=NOW)
    await store.files.add(a_file(bytes=40, created_at=NOW + 5))
    await store.files.delete(DEFAULT_PROJECT, kept.id)
    await store.files.add(a_file(bytes=60, created_at=NOW + 5))


async def test_of_many_at_once_only_as_many_as_there_is_room_for_get_in(opener: Opener) -> None:
    async with opened(opener()) as store:
        await store.projects.update(DEFAULT_PROJECT, limits=Limits(max_live_batches=2, max_stored_bytes=50))
        ends: list[object] = []

        async def add(size: int) -> None:
            try:
                await store.files.add(a_file(bytes=size))
                ends.append(None)
            except RateLimitError as error:
                ends.append(error.code)

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(add, 20)
        assert sorted(map(str, ends)) == ["None"] * 2 + ["stored_bytes_exceeded"] * 6
        file = (await store.files.page(DEFAULT_PROJECT, _page(), now=NOW))[0]
        ends.clear()

        async def begin() -> None:
            try:
                await store.batches.add(a_batch(file.id))
                ends.append(None)
            except RateLimitError as error:
                ends.append(error.code)

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(begin)
        assert sorted(map(str, ends)) == ["None"] * 2 + ["live_batches_exceeded"] * 6


def _page() -> Any:
    from pronk.store.files import FilePage

    return FilePage()


async def test_cancelled_and_failed_batches_hold_no_place(store: Store) -> None:
    await store.projects.update(DEFAULT_PROJECT, limits=Limits(max_live_batches=1))
    first = await add_batch(store)
    with pytest.raises(RateLimitError):
        await add_batch(store)
    await add_batch(store, project=ELSEWHERE)
    await store.batches.cancel(DEFAULT_PROJECT, first, now=NOW)
    second = await add_batch(store)
    while (await store.batches.get(None, second)).status is BatchStatus.VALIDATING:
        duty = await take_duty(store)
        if duty.batch_id == second:
            await store.duties.fail_batch(duty, [], model=None, now=NOW)
    await add_batch(store)


async def test_requests_that_wait_are_bounded(store: Store) -> None:
    await store.projects.update(DEFAULT_PROJECT, limits=Limits(max_queued_requests=25))
    running = await start_batch(store, shards=2, lines=10)
    waits = await add_batch(store)
    duty = await take_duty(store)
    await store.duties.start_batch(duty, cuts(1, 6), model="m", now=NOW)
    failed = await store.batches.get(None, waits)
    assert (failed.status, [error.code for error in failed.errors]) == (
        "failed",
        ["queued_requests_exceeded"],
    )
    assert "may have 25" in failed.errors[0].message
    claim = await take(store)
    assert claim.batch_id == running
    await store.shards.finish(claim, Progress(10, 0, Usage(5, 0, 5, 0)), now=NOW)
    use = await store.projects.use(DEFAULT_PROJECT, now=NOW)
    assert (use.queued_requests, use.live_batches, use.tokens_today) == (10, 1, 10)
    more = await start_batch(store, shards=1, lines=15)
    with pytest.raises(RateLimitError) as refused:
        await add_batch(store)
    assert refused.value.code == "queued_requests_exceeded"
    await store.batches.cancel(DEFAULT_PROJECT, more, now=NOW)
    await add_batch(store)


async def test_tokens_of_a_day_are_counted_once_and_forgotten_the_next(store: Store) -> None:
    await store.projects.update(DEFAULT_PROJECT, limits=Limits(max_tokens_per_day=100))
    batch_id = await start_batch(store)
    usage = Usage(70, 0, 20, 0)
    await store.shards.finish(await take(store), Progress(10, 0, usage), now=NOW)
    assert (await store.projects.use(DEFAULT_PROJECT, now=NOW)).tokens_today == 90
    duty = await take_duty(store)
    await store.duties.end_batch(
        duty, Ending(output=None, errors=None, counts=Counts(10, 10, 0), usage=usage), now=NOW
    )
    assert (await store.batches.get(None, batch_id)).status == "completed"
    assert (await store.projects.use(DEFAULT_PROJECT, now=NOW)).tokens_today == 90
    assert await store.projects.check_today(DEFAULT_PROJECT, now=NOW) == 90
    assert await store.projects.check_today(ELSEWHERE, now=NOW) == 0
    await store.projects.add_tokens(DEFAULT_PROJECT, 10, now=NOW)
    with pytest.raises(RateLimitError) as refused:
        await add_batch(store)
    assert refused.value.code == "tokens_per_day_exceeded"
    assert refused.value.retry_after == DAY - NOW % DAY
    await add_batch(store, created_at=NOW + DAY)
    await store.projects.forget_tokens(before=NOW + DAY)
    assert (await store.projects.use(DEFAULT_PROJECT, now=NOW)).tokens_today == 0


async def test_limits_of_the_settings_hold_where_a_project_has_none(opener: Opener) -> None:
    store = Store(opener(), Limits(max_stored_bytes=10))
    await store.open(now=NOW)
    with pytest.raises(RateLimitError):
        await store.files.add(a_file(bytes=11))
    await store.projects.update(DEFAULT_PROJECT, limits=Limits(max_stored_bytes=0))
    await store.files.add(a_file(bytes=11))
    await store.close()


async def test_the_audit_log_is_paged_by_project_and_forgotten(store: Store) -> None:
    events = [
        Event(
            id=new_event_id(), project_id=project, key_id=None, action=action, object_id="x", address="a", at=NOW + number
        )
        for number, (project, action) in enumerate(
            [(DEFAULT_PROJECT, "file.create"), (ELSEWHERE, "file.create"), (DEFAULT_PROJECT, "file.delete")]
        )
    ]  # fmt: skip
    for event in events:
        await store.audit.add(event)
    newest = sorted(events, key=lambda event: event.id, reverse=True)
    assert await store.audit.page(None) == newest
    assert await store.audit.page(ELSEWHERE) == [events[1]]
    assert await store.audit.page(None, after=newest[0].id, limit=1) == [newest[1]]
    assert await store.audit.page(DEFAULT_PROJECT, action="file.delete") == [events[2]]
    assert await store.audit.forget(before=NOW + 1) == 2
    assert await store.audit.page(None) == [events[2]]


async def test_the_file_of_another_projects_batch_does_not_exist(store: Store) -> None:
    """Whether a live batch reads a file is nobody's business but its project's."""
    file = a_file(project=ELSEWHERE)
    await store.files.add(file)
    await store.batches.add(a_batch(file.id, project=ELSEWHERE))
    with pytest.raises(NotFoundError):
        await store.files.delete(DEFAULT_PROJECT, file.id)
    with pytest.raises(ConflictError):
        await store.files.delete(ELSEWHERE, file.id)


async def test_shared_jobs_are_found_by_those_they_are_shared_with(store: Store) -> None:
    third = Project(id=new_project_id(), name="third", created_at=NOW)
    await store.projects.add(third)
    for job_id, shared_with in (
        ("job-a", (ELSEWHERE,)),
        ("job-b", ("*",)),
        ("job-c", None),
        ("job-d", ("*", ELSEWHERE)),
    ):
        await store.jobs.add(DEFAULT_PROJECT, Job(id=JobId(job_id), shared_with=shared_with), now=NOW)
    await store.jobs.add(third.id, Job(id=JobId("job-a"), model="later", shared_with=("*",)), now=NOW + 1)
    await store.jobs.add(ELSEWHERE, Job(id=JobId("job-b"), model="own"), now=NOW + 2)

    async def seen(project: ProjectId) -> list[tuple[str, ProjectId]]:
        page = await store.jobs.page(project)
        for stored in page:
            assert await store.jobs.find(project, stored.job.id) == stored
        by_one: list[StoredJob] = []
        while more := await store.jobs.page(project, after=by_one[-1].job.id if by_one else "", limit=1):
            by_one += more
        assert by_one == page
        return [(stored.job.id, stored.owner) for stored in page]

    assert await seen(ELSEWHERE) == [
        ("job-a", DEFAULT_PROJECT), ("job-b", ELSEWHERE), ("job-d", DEFAULT_PROJECT)
    ]  # fmt: skip
    assert await seen(third.id) == [
        ("job-a", third.id), ("job-b", DEFAULT_PROJECT), ("job-d", DEFAULT_PROJECT)
    ]  # fmt: skip
    assert [job_id for job_id, _ in await seen(DEFAULT_PROJECT)] == ["job-a", "job-b", "job-c", "job-d"]
    assert await store.jobs.find(ELSEWHERE, "job-c") is None
    assert not await store.jobs.delete(ELSEWHERE, JobId("job-a"))
    await store.jobs.update(DEFAULT_PROJECT, Job(id=JobId("job-d")), now=NOW)
    assert await store.jobs.find(ELSEWHERE, "job-d") is None
    assert await store.jobs.delete(DEFAULT_PROJECT, JobId("job-a"))
    assert await seen(ELSEWHERE) == [("job-a", third.id), ("job-b", ELSEWHERE)]


async def test_bounds_of_a_project_reach_batches_that_run_already(store: Store) -> None:
    """Whoever reads a batch gets them: those who claim, look at one, and list."""
    batch_id = await start_batch(store, project=ELSEWHERE, shards=2)
    lists = []
    for bounds in (None, ("s3://mine/*",)):
        changed = await store.projects.bound(ELSEWHERE, bounds)
        assert (changed.allow, await store.projects.bounds_of(ELSEWHERE)) == (bounds, bounds)
        held = await store.shards.claim("default", WORKER, until=LATE)
        assert held is not None
        looked = await store.batches.get(ELSEWHERE, batch_id)
        listed = (await store.batches.page(ELSEWHERE, BatchPage()))[0]
        lists.append({batch.job.media.lists for batch in (held[0], looked, listed)})
    assert lists == [{()}, {(("s3://mine/*",),)}]
    with pytest.raises(NotFoundError):
        await store.projects.bound(ProjectId("proj_none"), ())
