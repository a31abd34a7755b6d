"""Batches are found by what people remember of them, and their sums are those of the batches."""

from __future__ import annotations

import pytest
from tests.store.scenes import ELSEWHERE, NOW, a_batch, a_file, add_batch, start_batch, take

from pronk.domain.ids import DEFAULT_PROJECT, JobId
from pronk.domain.shard import Progress
from pronk.domain.usage import Usage
from pronk.store.overview import Search
from pronk.store.store import Store

pytestmark = pytest.mark.anyio


async def test_batches_are_found_by_the_name_of_their_file_their_metadata_and_their_job(store: Store) -> None:
    file = a_file(filename="Parts 100%_left.jsonl")
    await store.files.add(file)
    named = a_batch(file.id, metadata={"owner": "Ada"})
    other = a_batch(file.id, job="job-sort")
    for batch in (named, other):
        await store.batches.add(batch)
    both = {named.id, other.id}
    for text, expected in {
        "100%_LEFT": both,
        "100x": set(),
        "ada": {named.id},
        "job-sort": {other.id},
        named.id[-9:]: {named.id},
        " ": both,
        "'; DROP TABLE batch": set(),
    }.items():
        found = await store.overview.search(DEFAULT_PROJECT, Search(text=text))
        assert {one.batch.id for one in found} == expected, text
    found = await store.overview.search(DEFAULT_PROJECT, Search(limit=1))
    assert found[0].filename == "Parts 100%_left.jsonl"
    older = await store.overview.search(DEFAULT_PROJECT, Search(after=found[0].batch.id))
    assert [one.batch.id for one in older] == [min(both)]
    assert await store.overview.search(ELSEWHERE, Search()) == []


async def test_sums_count_what_runs_and_what_has_ended_by_job(store: Store) -> None:
    running = await start_batch(store, job="job-run", shards=2)
    claim = await take(store)
    await store.shards.report([(claim, Progress(6, 1, Usage(7, 0, 9)))])
    await add_batch(store, job="job-wait")
    sums = await store.overview.sums(DEFAULT_PROJECT, since=0, until=2**33, step=3600)
    by_job = {one.job.id: one for one in sums}
    assert set(by_job) == {"job-run", "job-wait"}
    assert by_job[JobId("job-run")].counts.completed == 6
    assert by_job[JobId("job-run")].counts.failed == 1
    assert by_job[JobId("job-run")].usage == Usage(7, 0, 9)
    assert by_job[JobId("job-run")].cost is None
    assert by_job[JobId("job-wait")].batches == 1
    assert by_job[JobId("job-wait")].at == NOW - NOW % 3600
    assert (await store.batches.get(DEFAULT_PROJECT, running)).counts == by_job[JobId("job-run")].counts
    assert await store.overview.sums(DEFAULT_PROJECT, since=0, until=1, step=60) == []
    assert await store.overview.sums(ELSEWHERE, since=0, until=2**33, step=60) == []
