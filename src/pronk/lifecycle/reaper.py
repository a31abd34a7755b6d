"""The reaper: removes what nobody needs any more, and never what a live batch needs.

Files and uploads whose time is over, every minute; every hour also the journals of ended batches and blobs without a row, which
a process leaves behind when it dies between writing bytes and writing the row.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from pronk.blobs import Blobs
from pronk.domain.file import UploadStatus
from pronk.domain.ids import FileId, created_ms
from pronk.lifecycle.facts import batch_of
from pronk.store.store import Store

log = structlog.get_logger()

MINUTE = 60.0
HOUR = 3600.0
PAGE = 500
ORPHAN_SECONDS = 86_400
"""A blob without a row may still be on its way to one for this long."""
TOKENS_SECONDS = 7 * 86_400
"""How long the tokens of a day are kept; only those of today limit anything."""


class Reaper:
    """Run `run_once` now and then in any number of processes; each chore is done by one of them.

    Events of the audit log are forgotten after `audit_seconds`; 0 keeps them.
    """

    def __init__(
        self, store: Store, blobs: Blobs, *, now: Callable[[], float], audit_seconds: float = 0
    ) -> None:
        self._audit_seconds = audit_seconds
        self._store = store
        self._blobs = blobs
        self._now = now

    async def run_once(self) -> None:
        """Do the chores that are due."""
        now = self._now()
        if await self._store.chores.claim("expired", now=now, every=MINUTE):
            await self._reap_files(int(now))
            await self._reap_uploads(int(now))
        if await self._store.chores.claim("orphans", now=now, every=HOUR):
            await self._reap_journals()
            await self._reap_facts()
            await self._reap_orphans(now)
            await self._blobs.sweep(before=now - ORPHAN_SECONDS)
            await self._store.workers.forget_old(now=now)
            await self._store.projects.forget_tokens(before=now - TOKENS_SECONDS)
            if self._audit_seconds:
                await self._store.audit.forget(before=int(now - self._audit_seconds))

    async def _reap_files(self, now: int) -> None:
        while files := await self._store.files.list_expired(now=now, limit=PAGE):
            for file in files:
                blob = await self._store.files.delete(file.project_id, file.id)
                await self._blobs.delete(blob)
            log.info("files_expired", count=len(files))

    async def _reap_uploads(self, now: int) -> None:
        while uploads := await self._store.uploads.list_stale(now=now, limit=PAGE):
            for upload in uploads:
                await self._store.uploads.end(upload, UploadStatus.EXPIRED)
                await self._blobs.delete_below(f"uploads/{upload.id}/")

    async def _reap_journals(self) -> None:
        batch_ids = {name.split("/")[1] for name in await self._blobs.names("journals/")}
        for batch_id in sorted(batch_ids):
            if not await self._store.chores.needs_journal(batch_id):
                await self._blobs.delete_below(f"journals/{batch_id}/")

    async def _reap_facts(self) -> None:
        """What was measured of a batch goes with its result files."""
        for name in await self._blobs.names("facts/"):
            if not await self._store.chores.needs_facts(batch_of(name)):
                await self._blobs.delete(name)

    async def _reap_orphans(self, now: float) -> None:
        for name in await self._blobs.names("files/"):
            file_id = FileId(name.removeprefix("files/"))
            made = created_ms(file_id, "file-")
            is_young = made is not None and now - made / 1000 < ORPHAN_SECONDS
            if not is_young and not await self._store.chores.has_file(file_id):
                await self._blobs.delete(name)
                log.info("orphan_removed", blob=name)
