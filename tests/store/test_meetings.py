"""Two transactions that meet at the worst moment, on the database where they can: one waits or neither is half done."""

from __future__ import annotations

from functools import partial

import pytest
from anyio import from_thread
from tests.store.cluster import Cluster
from tests.store.scenes import LATE, NOW, WORKER, a_batch, a_file, opened, start_batch

from pronk.domain.errors import StoreOutageError
from pronk.domain.ids import DEFAULT_PROJECT
from pronk.store import database, postgres, shards, shares
from pronk.store.database import Transaction
from pronk.store.opening import open_database

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_SESSION", "SET lock_timeout = '50ms'")
    monkeypatch.setattr(database, "PAUSES", ())


async def test_a_batch_that_is_cancelled_within_a_claim_is_not_claimed(cluster: Cluster) -> None:
    url = cluster.make_schema()
    async with opened(open_database(url)) as one, opened(open_database(url)) as other:
        batch_id = await start_batch(one)

        def claim(tx: Transaction) -> None:
            taken = {"worker_id": WORKER, "until": LATE, "ticket": "t", "line_extra": shares.LINE_EXTRA}
            shard = tx.one("claim_shard", batch_id=batch_id, **taken)
            assert shard
            from_thread.run(partial(other.batches.cancel, DEFAULT_PROJECT, batch_id, now=NOW))
            shards._pay(tx, shard)

        with pytest.raises(StoreOutageError, match="stopped while"):
            await one._database.write(claim)
        assert await one.shards.renew(WORKER, until=LATE) == {}


async def test_no_batch_is_made_of_a_file_while_it_is_deleted(cluster: Cluster) -> None:
    url = cluster.make_schema()
    async with opened(open_database(url)) as one, opened(open_database(url)) as other:
        file = a_file()
        await one.files.add(file)

        def delete(tx: Transaction) -> None:
            tx.one("lock_file", id=file.id, project_id=DEFAULT_PROJECT)
            with pytest.raises(StoreOutageError, match="busy"):
                from_thread.run(other.batches.add, a_batch(file.id))
            assert tx.one("delete_file", id=file.id, project_id=DEFAULT_PROJECT)

        await one._database.write(delete)
