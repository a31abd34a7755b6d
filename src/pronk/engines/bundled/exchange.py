"""One HTTP exchange at the level of ASGI: a bounded body in, JSON or server-sent events out, stopped when the client goes."""

import logging
from collections.abc import Awaitable, Callable, Iterable

import anyio
import msgspec
from starlette.types import Receive, Scope, Send

from pronk.domain.errors import ApiError
from pronk.engines.bundled.fields import Fields, read_body
from pronk.engines.bundled.refusals import envelope, headers, internal, too_large

Action = Callable[["Exchange"], Awaitable[None]]
EVENT_STREAM = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("pronk.engines.bundled")


class Exchange:
    """The request's `fields` and ways to answer. Events open the answer with the first of them."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.fields = Fields({})
        self._receive = receive
        self._send = send
        self._streaming = False

    async def read(self, limit: int) -> None:
        """Read the body into `fields`; 413 above `limit` bytes."""
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            more = message.get("more_body", False)
            if size > limit:
                raise too_large(f"the request body is over {limit} bytes")
        self.fields = read_body(b"".join(chunks))

    async def json(self, body: object, status: int = 200, further: Iterable[tuple[str, str]] = ()) -> None:
        data = _encode(body)
        extra = [(name.encode(), value.encode()) for name, value in further]
        length = str(len(data)).encode()
        await self._start(
            status, [(b"content-type", b"application/json"), (b"content-length", length), *extra]
        )
        await self._send({"type": "http.response.body", "body": data})

    async def event(self, body: object) -> None:
        await self._write(_encode(body), more=True)

    async def done(self) -> None:
        await self._write(b"[DONE]", more=False)

    async def fail(self, error: ApiError) -> None:
        """The envelope as the answer, or as the last event of a stream that has begun."""
        if self._streaming:
            await self.event(envelope(error))
            await self.done()
        else:
            await self.json(envelope(error), error.status_code, headers(error).items())

    async def gone(self) -> None:
        """Return when the client has closed its connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _write(self, data: bytes, *, more: bool) -> None:
        if not self._streaming:
            self._streaming = True
            await self._start(200, list(EVENT_STREAM))
        await self._send(
            {"type": "http.response.body", "body": b"data: " + data + b"\n\n", "more_body": more}
        )

    async def _start(self, status: int, raw_headers: list[tuple[bytes, bytes]]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": raw_headers})


class ClientGoneError(Exception):
    """Nobody is there to be answered."""


class Post:
    """An ASGI app for one POST route: reads the body, runs `action`, answers every error in the envelope."""

    def __init__(self, action: Action, max_body_bytes: int, on_refusal: Callable[[int], None]) -> None:
        self._action = action
        self._on_refusal = on_refusal
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        try:
            await exchange.read(self._max_body_bytes)
            failure = await unless_gone(exchange, self._action)
        except ClientGoneError:
            return
        except ApiError as error:
            failure = error
        if failure is not None:
            self._on_refusal(failure.status_code)
            await exchange.fail(failure)


async def unless_gone(exchange: Exchange, action: Action) -> ApiError | None:
    """Run `action` until it ends or the client goes away, whichever is first; returns its refusal."""
    failure: ApiError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_when_gone, exchange, tasks.cancel_scope)
        try:
            await action(exchange)
        except ApiError as error:
            failure = error
        except Exception:  # noqa: BLE001
            _log.exception("a request failed")
            failure = internal()
        tasks.cancel_scope.cancel()
    return failure


async def _cancel_when_gone(exchange: Exchange, scope: anyio.CancelScope) -> None:
    await exchange.gone()
    scope.cancel()
