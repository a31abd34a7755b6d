"""Webhooks, and what became of deliveries."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Query

from pronk.api import documented, schemas
from pronk.api.audit import Audit
from pronk.api.auth import Caller
from pronk.api.names import BATCH, ERRAND, WEBHOOK, checked_cursor, checked_id
from pronk.api.paging import to_page
from pronk.api.parts import Parts
from pronk.api.small import SmallBodies
from pronk.domain.errand import EVENTS, Errand, ErrandState, Webhook
from pronk.domain.errors import InvalidRequestError
from pronk.domain.ids import WebhookId, new_webhook_id
from pronk.lifecycle.errands import new_secret, read_secret

router = APIRouter(prefix="/v1", tags=["Webhooks"], route_class=SmallBodies)


@router.post("/webhooks", responses=documented.CREATING)
async def create_webhook(
    body: schemas.CreateWebhook, project: Caller, parts: Parts, audit: Audit
) -> schemas.NewWebhook:
    """Be told when batches of this project end. Events are signed as Standard Webhooks says."""
    parts.resolver.hook.check(body.url)
    webhook = Webhook(
        id=new_webhook_id(),
        project_id=project,
        url=body.url,
        secret=_secret(body.secret),
        events=tuple(dict.fromkeys(body.events or EVENTS)),
        created_at=parts.second,
    )
    await parts.store.webhooks.add(webhook)
    await audit.note("webhook.create", webhook.id)
    return schemas.NewWebhook.model_validate({**_fields(webhook), "secret": webhook.secret})


@router.get("/webhooks", responses=documented.LISTING)
async def list_webhooks(project: Caller, parts: Parts) -> schemas.WebhookList:
    """List webhooks; a project has at most 20."""
    found = await parts.store.webhooks.list(project)
    return to_page(schemas.WebhookList, found, len(found) + 1, _to_wire)


@router.get("/webhooks/{webhook_id}", responses=documented.LOOKING)
async def get_webhook(webhook_id: str, project: Caller, parts: Parts) -> schemas.Webhook:
    """Look at a webhook."""
    return _to_wire(await parts.store.webhooks.get(project, checked_id(WEBHOOK, webhook_id)))


@router.delete("/webhooks/{webhook_id}", responses=documented.LOOKING)
async def delete_webhook(
    webhook_id: str, project: Caller, parts: Parts, audit: Audit
) -> schemas.WebhookDeleted:
    """Delete a webhook, with what it still was to be told."""
    known = WebhookId(checked_id(WEBHOOK, webhook_id))
    await parts.store.webhooks.delete(project, known)
    await audit.note("webhook.delete", known)
    return schemas.WebhookDeleted(id=known)


@router.get("/webhooks/{webhook_id}/deliveries", responses=documented.PAGING)
async def list_deliveries(
    webhook_id: str, query: Annotated[schemas.DeliveryQuery, Query()], project: Caller, parts: Parts
) -> schemas.DeliveryList:
    """List what a webhook was told or is to be told, newest first, with every try. Kept for 30 days."""
    webhook = await parts.store.webhooks.get(project, checked_id(WEBHOOK, webhook_id))
    after = checked_cursor(ERRAND, query.after)
    found = await parts.store.errands.of_target(webhook.id, after=after, limit=query.limit + 1)
    return to_page(schemas.DeliveryList, found, query.limit, _to_delivery)


@router.get("/batches/{batch_id}/deliveries", responses=documented.LOOKING)
async def list_batch_deliveries(batch_id: str, project: Caller, parts: Parts) -> schemas.DeliveryList:
    """List what the end of a batch has brought: events to webhooks, copies of its files, with every try."""
    batch = await parts.store.batches.get(project, checked_id(BATCH, batch_id))
    found = await parts.store.errands.of_batch(batch.id)
    return to_page(schemas.DeliveryList, found, len(found) + 1, _to_delivery)


def _secret(given: str | None) -> str:
    if given is None:
        return new_secret(secrets.token_bytes)
    try:
        read_secret(given)
    except ValueError as error:
        raise InvalidRequestError(
            "'secret' is not whsec_ and 24 to 64 bytes in base64; leave it out to get one.",
            param="secret",
            code="invalid_value",
        ) from error
    return given


def _fields(webhook: Webhook) -> dict[str, object]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": list(webhook.events),
        "created_at": webhook.created_at,
    }


def _to_wire(webhook: Webhook) -> schemas.Webhook:
    return schemas.Webhook.model_validate(_fields(webhook))


def _to_delivery(errand: Errand) -> schemas.Delivery:
    is_pending = errand.state is ErrandState.PENDING
    return schemas.Delivery(
        id=errand.id,
        kind=errand.kind,
        batch_id=errand.batch_id,
        target=errand.target,
        subject=errand.subject,
        state=errand.state.value,
        created_at=errand.created_at,
        next_try_at=int(errand.due_at) if is_pending else None,
        ended_at=errand.ended_at,
        tries=[schemas.DeliveryTry(at=each.at, status=each.status, error=each.error) for each in errand.log],
    )
