"""Webhooks, and deliveries that are owed: written with the end of a batch, leased one by one until they are done."""

from __future__ import annotations

import msgspec

from pronk.domain.batch import BatchStatus
from pronk.domain.errand import Errand, ErrandState, ErrandTry, Webhook
from pronk.domain.errors import ConflictError, NotFoundError
from pronk.domain.ids import ErrandId, ProjectId, WebhookId, new_errand_id
from pronk.store import rows
from pronk.store.database import LAST, Database, Row, Transaction

MAX_WEBHOOKS = 20
"""Webhooks of one project: each of them is a row with every batch that ends."""

_decode_log = msgspec.json.Decoder(tuple[ErrandTry, ...]).decode
_decode_events = msgspec.json.Decoder(tuple[str, ...]).decode


class Webhooks:
    """Webhook rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, webhook: Webhook) -> None:
        """Remember a webhook; ConflictError when the project has as many as it may."""
        values = msgspec.structs.asdict(webhook) | {"events": rows.to_json(webhook.events)}
        if not await self._database.write(lambda tx: tx.run("insert_webhook", most=MAX_WEBHOOKS, **values)):
            raise ConflictError(
                f"A project may have {MAX_WEBHOOKS} webhooks; delete one first.", code="too_many_webhooks"
            )

    async def get(self, project_id: ProjectId, webhook_id: str) -> Webhook:
        """Return a webhook of the project."""
        found = await self.find(webhook_id)
        if found is None or found.project_id != project_id:
            raise NotFoundError(f"No such webhook: {webhook_id!r}.", param="webhook_id", code="not_found")
        return found

    async def find(self, webhook_id: str) -> Webhook | None:
        """Return a webhook, whatever its project."""
        row = await self._database.read(lambda tx: tx.one("find_webhook", id=webhook_id))
        return _to_webhook(row) if row else None

    async def list(self, project_id: ProjectId) -> list[Webhook]:
        """Return the webhooks of a project, oldest first."""
        found = await self._database.read(lambda tx: tx.all("list_webhooks", project_id=project_id))
        return [_to_webhook(row) for row in found]

    async def delete(self, project_id: ProjectId, webhook_id: WebhookId) -> None:
        """Forget a webhook and what it still was to be told. Raises NotFoundError."""

        def work(tx: Transaction) -> int:
            count = tx.run("delete_webhook", id=webhook_id, project_id=project_id)
            if count:
                tx.run("forget_errands_to", target=webhook_id)
            return count

        if not await self._database.write(work):
            raise NotFoundError(f"No such webhook: {webhook_id!r}.", param="webhook_id", code="not_found")


class Errands:
    """Errand rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, *, now: float, until: float) -> Errand | None:
        """Take a delivery that is due and that nobody holds; of one target and batch, the earlier one first."""
        row = await self._database.write(lambda tx: tx.one("claim_errand", now=now, until=until))
        return _to_errand(row) if row else None

    async def end(self, errand: Errand, state: ErrandState, log: tuple[ErrandTry, ...], *, now: int) -> bool:
        """Write down that a delivery is done or given up; False when somebody else has it by now."""
        values = {"id": errand.id, "attempt": errand.attempt, "state": str(state), "now": now}
        return bool(
            await self._database.write(lambda tx: tx.run("end_errand", log=rows.to_json(log), **values))
        )

    async def postpone(self, errand: Errand, log: tuple[ErrandTry, ...], *, until: float) -> bool:
        """Write down that a delivery is to be tried again; False when somebody else has it by now."""
        values = {"id": errand.id, "attempt": errand.attempt, "due_at": until, "log": rows.to_json(log)}
        return bool(await self._database.write(lambda tx: tx.run("postpone_errand", **values)))

    async def of_batch(self, batch_id: str, *, limit: int = 100) -> list[Errand]:
        """Return the deliveries of a batch, newest first."""
        values = {"batch_id": batch_id, "limit": limit}
        return [
            _to_errand(row)
            for row in await self._database.read(lambda tx: tx.all("list_errands_of_batch", **values))
        ]

    async def of_target(self, target: str, *, after: str | None, limit: int) -> list[Errand]:
        """Return deliveries to a webhook that are older than `after`, newest first."""
        values = {"target": target, "after": after or LAST, "limit": limit}
        return [
            _to_errand(row)
            for row in await self._database.read(lambda tx: tx.all("list_errands_of_target", **values))
        ]

    async def forget(self, *, before: int) -> int:
        """Forget deliveries that ended before a time; return how many."""
        return await self._database.write(lambda tx: tx.run("forget_errands", before=before))


def announce(tx: Transaction, batch: Row, files: tuple[str, ...], now: int) -> None:
    """Owe what the end of a batch brings: an event for each webhook that asked, a copy of each file where its job says so.

    `batch` has the columns id, project_id, status and job, as they are after the end.
    """
    event = f"batch.{BatchStatus(batch['status'])}"
    for row in tx.all("list_webhooks", project_id=batch["project_id"]):
        if event in _decode_events(row["events"]):
            _owe(tx, batch, ("event", row["id"], event), now)
    output = rows.to_job(batch["job"]).output
    if output is not None:
        for file_id in files:
            _owe(tx, batch, ("copy", output, file_id), now)


def _owe(tx: Transaction, batch: Row, what: tuple[str, str, str], now: int) -> None:
    kind, target, subject = what
    values = {"kind": kind, "target": target, "subject": subject, "now": now}
    tx.run(
        "insert_errand", id=new_errand_id(), batch_id=batch["id"], project_id=batch["project_id"], **values
    )


def _to_webhook(row: Row) -> Webhook:
    return msgspec.convert({**row, "events": _decode_events(row["events"])}, Webhook)


def _to_errand(row: Row) -> Errand:
    return Errand(
        id=ErrandId(row["id"]),
        project_id=row["project_id"],
        batch_id=row["batch_id"],
        kind=row["kind"],
        target=row["target"],
        subject=row["subject"],
        state=ErrandState(row["state"]),
        attempt=row["attempt"],
        created_at=row["created_at"],
        due_at=row["due_at"],
        ended_at=row["ended_at"],
        log=_decode_log(row["log"]),
    )
