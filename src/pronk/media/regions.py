"""The region of every bucket, found by one unsigned HEAD and remembered."""

from __future__ import annotations

from typing import Protocol

from pronk.media.fetched import TransientError
from pronk.media.flight import Flights
from pronk.media.transport import Transport

HEADER = "x-amz-bucket-region"


class RegionMemory(Protocol):
    """Remembers regions beyond this process. `bucket` is a bucket's name, behind its endpoint where it is not Amazon's."""

    async def find_region(self, bucket: str) -> str | None:
        """Return what was remembered, or None."""

    async def remember_region(self, bucket: str, region: str) -> None:
        """Remember the region; a later word replaces an earlier one."""


class NoMemory:
    """Remembers nothing; the process keeps what it has found."""

    async def find_region(self, bucket: str) -> str | None:
        """Return None."""

    async def remember_region(self, bucket: str, region: str) -> None:
        """Let it go."""


class Regions:
    """Looks a region up once per bucket however many ask at the same time."""

    def __init__(self, transport: Transport, memory: RegionMemory) -> None:
        self._transport = transport
        self._memory = memory
        self._known: dict[str, str] = {}
        self._flights: Flights[str, str] = Flights()

    async def get(self, name: str, url: str, default: str) -> str:
        """Return the region of the bucket `name` whose HEAD goes to `url`; `default` if its server names none."""
        region = self._known.get(name)
        if region is None:
            region, _ = await self._flights.run(name, lambda: self._find(name, url, default))
        return region

    async def correct(self, name: str, url: str, wrong: str, right: str | None = None) -> str:
        """Look again because the store refused `wrong`; what another caller has found meanwhile counts.

        `right` is what the refusal named; it counts where the bucket's HEAD names nothing.
        """
        if self._known.get(name, wrong) != wrong:
            return self._known[name]
        region, _ = await self._flights.run(name, lambda: self._look(name, url, right or wrong))
        return region

    async def _find(self, name: str, url: str, default: str) -> str:
        remembered = await self._memory.find_region(name)
        if remembered is None:
            return await self._look(name, url, default)
        self._known[name] = remembered
        return remembered

    async def _look(self, name: str, url: str, default: str) -> str:
        reply = await self._transport.head(url)
        region = reply.headers.get(HEADER)
        if region is None and reply.status >= 500:
            raise TransientError(f"HTTP {reply.status}", slow_down=reply.status == 503)
        self._known[name] = region or default
        if region is not None:
            await self._memory.remember_region(name, region)
        return self._known[name]
