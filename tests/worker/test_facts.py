"""What was measured of every line stays when its journal goes, and goes with the result files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.worker.world import open_world, request_file

from pronk.lifecycle.facts import facts_blob
from pronk.lifecycle.reaper import Reaper

pytestmark = pytest.mark.anyio


async def test_facts_of_every_line_stay_with_the_result_files_and_go_with_them(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.working():
        batch_id = await world.add_batch(request_file(1200))
        batch = await world.until_ended(batch_id)
        kept = await world.blobs.get(facts_blob(batch_id))
        pairs = [pair for line in kept.splitlines() for pair in msgspec.json.decode(line)]
        assert [line for line, _ in pairs] == list(range(1, 1201))
        assert {facts["replica"] for _, facts in pairs} == {world.pool.replicas[0].name}
        assert all(batch.created_at <= facts["at"] for _, facts in pairs)

        late = world.now() + 7200
        reaper = Reaper(world.store, world.blobs, now=lambda: late)
        await reaper.run_once()
        assert await world.blobs.get(facts_blob(batch_id)) == kept
        late += 2 * 86_400
        await reaper.run_once()
        assert await world.blobs.names("facts/") == []
