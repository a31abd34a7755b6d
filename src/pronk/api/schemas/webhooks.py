"""Webhooks and deliveries on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pronk.api import examples
from pronk.api.names import ERRAND
from pronk.api.schemas.base import In, Out, Seconds, Text, after_of

Event = Literal["batch.completed", "batch.failed", "batch.expired", "batch.cancelled"]


_QUAD = "[A-Za-z0-9+/]{4}"
_SECRET = f"^whsec_(?:{_QUAD}){{8,20}}(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{{2}}[AEIMQUYcgkosw048]=|{_QUAD}(?:[A-Za-z0-9+/][AQgw]==)?)?$"


class CreateWebhook(In):
    """An address that is to be told when batches end."""

    model_config = ConfigDict(json_schema_extra={"example": examples.CREATE_WEBHOOK})

    url: Text = Field(max_length=2048, description="An https:// address.")
    events: list[Event] | None = Field(
        None, min_length=1, max_length=4, description="All of them when absent."
    )
    secret: Text | None = Field(
        None,
        max_length=128,
        json_schema_extra={"pattern": _SECRET},
        description="`whsec_` and 24 to 64 bytes in base64; made by the server when absent.",
    )


class Webhook(Out):
    """A webhook; its secret is shown only when it is made."""

    id: str
    object: Literal["webhook"] = "webhook"
    url: str
    events: list[Event]
    created_at: Seconds


class NewWebhook(Webhook):
    """A webhook that was just made, with the secret that its signatures are checked with."""

    secret: str


class WebhookList(Out):
    """All webhooks of the project."""

    object: Literal["list"] = "list"
    data: list[Webhook]
    first_id: str | None
    last_id: str | None
    has_more: bool


class WebhookDeleted(Out):
    """A webhook that is gone."""

    id: str
    object: Literal["webhook"] = "webhook"
    deleted: Literal[True] = True


class DeliveryTry(Out):
    """One try: what the receiver answered, or what went wrong."""

    at: Seconds
    status: int | None
    error: str | None


class Delivery(Out):
    """Something that a batch's end brings: an event to a webhook, or a copy of a file to the job's output folder."""

    id: str
    object: Literal["delivery"] = "delivery"
    kind: Literal["event", "copy"]
    batch_id: str
    target: str = Field(description="The webhook's id, or the folder.")
    subject: str = Field(description="The event's type, or the file's id.")
    state: Literal["pending", "delivered", "failed"]
    created_at: Seconds
    next_try_at: Seconds | None
    ended_at: Seconds | None
    tries: list[DeliveryTry] = Field(description="The last 50.")


class DeliveryList(Out):
    """A page of deliveries, newest first; `last_id` is the cursor of the next one."""

    object: Literal["list"] = "list"
    data: list[Delivery]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeliveryQuery(BaseModel):
    """Which part of the deliveries."""

    after: str | None = after_of(ERRAND)
    limit: int = Field(20, ge=1, le=100)
