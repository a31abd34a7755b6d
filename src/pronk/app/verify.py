"""One batch verified in this process, beside a server or without one."""

from __future__ import annotations

from pronk.app import entry
from pronk.app.parts import open_store
from pronk.blobs import open_blobs
from pronk.lifecycle.verify import Verdict, Verify
from pronk.settings import Settings


def verify(settings: Settings, batch_id: str) -> Verdict:
    """Return the verdict. Raises NotFoundError for a batch that is not there."""
    return entry.run(settings, _verify, settings, batch_id)


async def _verify(settings: Settings, batch_id: str) -> Verdict:
    async with open_store(settings) as store:
        return await Verify(store, open_blobs(settings.storage))(batch_id)
