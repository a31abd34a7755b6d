"""Tokens of a day: refused when they are used up, counted from answers that are given at once."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from starlette.requests import Request

from pronk.api.auth import get_identity, tell
from pronk.api.parts import ApiParts, get_parts
from pronk.api.rates import Reading
from pronk.domain.errors import OutageError
from pronk.domain.ids import ProjectId
from pronk.domain.usage import read_usage
from pronk.store.quotas import DAY_SECONDS

_TAIL: Final = 64 * 1024
_EVENT = re.compile(rb"^data: ?(\{.*\"usage\".*\})\s*$", re.MULTILINE)


class Tokens:
    """The tokens of one request; nothing is counted for a project without a limit."""

    def __init__(self, parts: ApiParts, project: ProjectId | None) -> None:
        self._parts = parts
        self._project = project
        self._events = 0
        self._tail = b""

    async def count_answer(self, body: bytes) -> None:
        """Count the tokens that an engine's answer says it used."""
        if self._project is not None:
            await self._add(_used(body))

    def see(self, chunk: bytes) -> None:
        """Hear a piece of an answer that is passed on while it comes."""
        if self._project is not None:
            self._events += chunk.count(b"data:")
            self._tail = (self._tail + chunk)[-_TAIL:]

    async def count_stream(self) -> None:
        """Count what was seen: the usage in the last event that has one; without any, each event for a token."""
        if self._project is not None:
            found = [_used(event) for event in _EVENT.findall(self._tail)]
            await self._add(next((tokens for tokens in reversed(found) if tokens), self._events))

    async def _add(self, tokens: int) -> None:
        """An answer that was paid for is given even when it cannot be counted."""
        if tokens and self._project is not None:
            try:
                await self._parts.store.projects.add_tokens(self._project, tokens, now=self._parts.now())
            except OutageError:
                return


async def begin(request: Request) -> Tokens:
    """Return what counts the tokens of a request. Raises RateLimitError when today's are used up."""
    identity, parts = await get_identity(request), await get_parts(request)
    limit = identity.limits.max_tokens_per_day
    if not limit:
        return Tokens(parts, None)
    now = parts.now()
    used = await parts.store.projects.check_today(identity.project_id, now=now)
    reading = Reading(limit, max(0, limit - used), DAY_SECONDS - now % DAY_SECONDS, 0.0)
    tell(request, reading.headers("tokens"))
    return Tokens(parts, identity.project_id)


def _used(body: bytes) -> int:
    try:
        return read_usage(body)[0].total_tokens
    except msgspec.DecodeError:
        return 0
