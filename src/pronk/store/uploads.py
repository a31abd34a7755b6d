"""Uploads in parts, as they are remembered."""

from __future__ import annotations

import msgspec

from pronk.domain.errors import ConflictError, NotFoundError
from pronk.domain.file import File, Upload, UploadPart, UploadStatus
from pronk.domain.ids import ProjectId, UploadId
from pronk.store import rows
from pronk.store.database import Database, Row, Transaction
from pronk.store.files import insert_file
from pronk.store.quotas import Quotas


class Uploads:
    """Upload rows and their parts."""

    def __init__(self, database: Database, quotas: Quotas) -> None:
        self._database = database
        self._quotas = quotas

    async def add(self, upload: Upload) -> None:
        """Remember an upload that waits for its parts. RateLimitError when its project may not store as much."""
        values = msgspec.to_builtins(upload)
        del values["status"], values["file_id"]

        def work(tx: Transaction) -> None:
            self._quotas.check_bytes(tx, upload.project_id, upload.bytes, now=upload.created_at)
            tx.run("insert_upload", **values)

        await self._database.write(work)

    async def get(self, project_id: ProjectId, upload_id: str) -> Upload:
        """Return an upload of the project."""
        row = await self._database.read(lambda tx: tx.one("get_upload", id=upload_id, project_id=project_id))
        if row is None:
            raise NotFoundError(f"No such upload: {upload_id!r}.", param="upload_id", code="not_found")
        return rows.to_upload(row)

    async def add_part(self, project_id: ProjectId, part: UploadPart) -> None:
        """Remember a part whose bytes are in storage; ConflictError when the upload does not take parts any more."""
        values = {"id": part.id, "upload_id": part.upload_id, "bytes": part.bytes, "blob": part.blob}
        values |= {"now": part.created_at, "project_id": project_id}
        if not await self._database.write(lambda tx: tx.run("insert_upload_part", **values)):
            raise ConflictError(
                f"Upload {part.upload_id!r} does not take parts any more.", code="upload_ended"
            )

    async def list_parts(self, upload_id: UploadId) -> list[UploadPart]:
        """Return the parts of an upload in the order they came."""
        found = await self._database.read(lambda tx: tx.all("list_upload_parts", upload_id=upload_id))
        return [rows.to_upload_part(row) for row in found]

    async def end(self, upload: Upload, status: UploadStatus, file: File | None = None) -> Upload:
        """Complete (with its file), cancel or expire a pending upload; ConflictError when it has ended already."""

        def work(tx: Transaction) -> Row:
            if file is not None:
                insert_file(tx, file)
            values = {"id": upload.id, "project_id": upload.project_id, "status": str(status)}
            row = tx.one("move_upload", file_id=file.id if file else None, **values)
            if row is None:
                raise ConflictError(f"Upload {upload.id!r} is not pending any more.", code="upload_ended")
            return row

        return rows.to_upload(await self._database.write(work))

    async def list_stale(self, *, now: int, limit: int) -> list[Upload]:
        """Return pending uploads whose hour is over, of all projects."""
        found = await self._database.read(lambda tx: tx.all("list_stale_uploads", now=now, limit=limit))
        return [rows.to_upload(row) for row in found]
