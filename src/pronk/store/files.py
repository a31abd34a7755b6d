"""Files, as they are remembered."""

from __future__ import annotations

import msgspec

from pronk.domain.errors import ConflictError, NotFoundError
from pronk.domain.file import File
from pronk.domain.ids import FileId, ProjectId
from pronk.store import rows
from pronk.store.database import LAST, Database, Row, Transaction
from pronk.store.quotas import Quotas


class FilePage(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list of files."""

    after: str | None = None
    limit: int = 10_000
    descending: bool = True
    purpose: str | None = None


class Files:
    """File rows."""

    def __init__(self, database: Database, quotas: Quotas) -> None:
        self._database = database
        self._quotas = quotas

    async def add(self, file: File) -> None:
        """Remember a file whose bytes are in storage. RateLimitError when its project may not store as much."""

        def work(tx: Transaction) -> None:
            self._quotas.check_bytes(tx, file.project_id, file.bytes, now=file.created_at)
            insert_file(tx, file)

        await self._database.write(work)

    async def check_room(self, project_id: ProjectId, more_bytes: int, *, now: int) -> None:
        """Raise RateLimitError when the project may not store so much more; `add` has the last word."""
        await self._database.read(
            lambda tx: self._quotas.check_bytes(tx, project_id, more_bytes, now=now, is_read=True)
        )

    async def get(self, project_id: ProjectId, file_id: str, *, now: int) -> File:
        """Return a file of the project that has not expired."""
        row = await self._database.look(
            lambda tx: tx.one("get_file", id=file_id, project_id=project_id, now=now)
        )
        if row is None:
            raise NotFoundError(f"No such file: {file_id!r}.", param="file_id", code="not_found")
        return rows.to_file(row)

    async def page(self, project_id: ProjectId, page: FilePage, *, now: int) -> list[File]:
        """Return up to `page.limit` files after `page.after`."""
        query = "list_files_down" if page.descending else "list_files_up"
        values: dict[str, object] = {"project_id": project_id, "limit": page.limit, "now": now}
        values["after"] = page.after or (LAST if page.descending else "")
        if page.purpose is not None:
            query, values["purpose"] = f"{query}_of_purpose", page.purpose
        found = await self._database.read(lambda tx: tx.all(query, **values))
        return [rows.to_file(row) for row in found]

    async def delete(self, project_id: ProjectId, file_id: FileId) -> str:
        """Forget a file and return where its bytes lie. A file that a live batch reads raises ConflictError."""

        def work(tx: Transaction) -> Row | None:
            if tx.one("lock_file", id=file_id, project_id=project_id) is None:
                return None
            user = tx.one("find_live_batch_of_file", file_id=file_id)
            if user is not None:
                raise ConflictError(
                    f"File {file_id!r} is the input of batch {user['id']!r}, which has not ended; cancel that batch or "
                    "wait for its end.",
                    param="file_id",
                    code="file_in_use",
                )
            return tx.one("delete_file", id=file_id, project_id=project_id)

        row = await self._database.write(work)
        if row is None:
            raise NotFoundError(f"No such file: {file_id!r}.", param="file_id", code="not_found")
        return str(row["blob"])

    async def list_expired(self, *, now: int, limit: int) -> list[File]:
        """Return files whose time is over and that no live batch reads, of all projects."""
        found = await self._database.read(lambda tx: tx.all("list_expired_files", now=now, limit=limit))
        return [rows.to_file(row) for row in found]


def insert_file(tx: Transaction, file: File) -> None:
    """Write a file row as part of a larger deed."""
    tx.run("insert_file", **msgspec.to_builtins(file))
