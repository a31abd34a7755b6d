"""Work that ends when the client it is for goes away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from pronk.domain.errors import PronkError

T = TypeVar("T")


async def while_connected(receive: Receive, work: Callable[[], Awaitable[T]]) -> T:
    """Return what `work` returns. The body must have been read.

    Raises ClientDisconnect when the client goes away first, after `work` has been cancelled; and PronkError as `work`
    does.
    """
    outcome: list[T] = []
    failure: PronkError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_at_end, receive, tasks.cancel_scope)
        try:
            outcome.append(await work())
        except PronkError as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if not outcome:
        raise ClientDisconnect
    return outcome[0]


async def _cancel_at_end(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
