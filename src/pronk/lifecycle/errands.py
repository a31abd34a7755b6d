"""Deliveries: events to webhooks and copies of result files, each tried for a day, by whichever worker is free."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

import anyio
import msgspec
import structlog

from pronk.blobs import Blobs, open_blobs
from pronk.domain.errand import (
    MAX_LOG,
    PATIENCE_SECONDS,
    Errand,
    ErrandState,
    ErrandTry,
    Webhook,
    delay_after,
)
from pronk.domain.errors import BlobOutageError, MediaError, NotFoundError
from pronk.domain.file import File
from pronk.media.fetched import FetchError, TransientError
from pronk.store.store import Store
from pronk.telemetry.metrics import DELIVERIES

log = structlog.get_logger()

HANDS: Final = 8
LEASE_SECONDS: Final = 900.0
KEEP_SECONDS: Final = 30 * 86_400
_HOUR: Final = 3600.0
_PREFIX: Final = "whsec_"


class Post(Protocol):
    """The guarded way out to receivers."""

    async def post(self, url: str, headers: dict[str, str], body: bytes, /) -> int:
        """Send a body and return the status of the answer. Raises FetchError and TransientError."""


class Carrier(Protocol):
    """The way into object stores."""

    async def write(self, text: str, chunks: Callable[[], AsyncIterator[bytes]], /) -> None:
        """Store an object. Raises MediaError."""


class Outlets(msgspec.Struct, frozen=True, kw_only=True):
    """Where deliveries go."""

    post: Post
    carrier: Carrier


class Errands:
    """Run `run_once` now and then in any number of processes; each delivery is done by one of them at a time."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        outlets: Outlets,
        *,
        now: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._outlets = outlets
        self._now = now
        self._chance = chance

    async def run_once(self) -> None:
        """Make every delivery that is due, a few at a time."""
        async with anyio.create_task_group() as group:
            for _ in range(HANDS):
                group.start_soon(self._work)
        now = self._now()
        if await self._store.chores.claim("errands", now=now, every=_HOUR):
            await self._store.errands.forget(before=int(now) - KEEP_SECONDS)

    async def _work(self) -> None:
        while True:
            now = self._now()
            errand = await self._store.errands.claim(now=now, until=now + LEASE_SECONDS)
            if errand is None:
                return
            await self._run(errand)

    async def _run(self, errand: Errand) -> None:
        tried, is_final = await (self._tell(errand) if errand.kind == "event" else self._copy(errand))
        tries = (*errand.log, tried)[-MAX_LOG:]
        now = self._now()
        if tried.error is None:
            DELIVERIES.labels(errand.kind, "delivered").inc()
            await self._store.errands.end(errand, ErrandState.DELIVERED, tries, now=int(now))
            return
        wait = delay_after(errand.attempt, self._chance())
        if is_final or now + wait > errand.created_at + PATIENCE_SECONDS:
            DELIVERIES.labels(errand.kind, "given_up").inc()
            log.warning("delivery_given_up", kind=errand.kind, batch=errand.batch_id, reason=tried.error)
            await self._store.errands.end(errand, ErrandState.FAILED, tries, now=int(now))
        else:
            DELIVERIES.labels(errand.kind, "failed").inc()
            await self._store.errands.postpone(errand, tries, until=now + wait)

    async def _tell(self, errand: Errand) -> tuple[ErrandTry, bool]:
        webhook = await self._store.webhooks.find(errand.target)
        at = int(self._now())
        if webhook is None:
            return ErrandTry(at=at, error="the webhook was deleted"), True
        body = event_body(errand)
        try:
            status = await self._outlets.post.post(
                webhook.url, signed_headers(webhook, errand.id, at, body), body
            )
        except (FetchError, TransientError) as error:
            return ErrandTry(at=at, error=error.why), False
        if 200 <= status < 300:
            return ErrandTry(at=at, status=status), False
        return ErrandTry(at=at, status=status, error=f"the receiver answered {status}"), False

    async def _copy(self, errand: Errand) -> tuple[ErrandTry, bool]:
        at = int(self._now())
        try:
            file = await self._store.files.get(errand.project_id, errand.subject, now=at)
        except NotFoundError:
            return ErrandTry(at=at, error="the file was deleted or has expired"), True
        try:
            await self._carry(file, errand.target)
        except MediaError as error:
            return ErrandTry(at=at, error=error.message), False
        except BlobOutageError as outage:
            return ErrandTry(at=at, error=str(outage)), False
        except FileNotFoundError:
            return ErrandTry(at=at, error="the file's bytes are not in storage"), False
        return ErrandTry(at=at), False

    async def _carry(self, file: File, folder: str) -> None:
        if not folder.startswith("file:"):
            url = f"{folder.rstrip('/')}/{file.filename}"
            await self._outlets.carrier.write(url, lambda: self._blobs.stream(file.blob))
            return
        async with open_blobs(folder).writer(file.filename) as writer:
            async for data in self._blobs.stream(file.blob):
                await writer.write(data)


def event_body(errand: Errand) -> bytes:
    """Return what a receiver is told, the same with every try."""
    event = {"id": errand.id, "object": "event", "created_at": errand.created_at, "type": errand.subject}
    return msgspec.json.encode({**event, "data": {"id": errand.batch_id}})


def signed_headers(webhook: Webhook, event_id: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks: id, time and signature of both with the body."""
    key = read_secret(webhook.secret)
    signature = hmac.new(key, b"%b.%d.%b" % (event_id.encode(), at, body), hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def new_secret(chance: Callable[[int], bytes]) -> str:
    """Return a fresh secret of 32 bytes."""
    return _PREFIX + base64.b64encode(chance(32)).decode()


def read_secret(secret: str) -> bytes:
    """Return a secret's bytes. Raises ValueError unless it is ``whsec_`` and base64 of 24 to 64 bytes."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
    if not secret.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("not whsec_ and 24 to 64 bytes in base64")
    return key
