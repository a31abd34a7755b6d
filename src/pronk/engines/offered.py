"""Which models the replicas of a pool say they serve: asked now and then, remembered, and never in anybody's way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import anyio
import msgspec

from pronk.domain.errors import EngineError
from pronk.engines.replica import Replica

FRESH_SECONDS: Final = 60.0
WAIT_SECONDS: Final = 2.0
MOST_MODELS: Final = 1000


class _Model(msgspec.Struct):
    id: str


class _List(msgspec.Struct):
    data: list[_Model] = []


_decode = msgspec.json.Decoder(_List).decode


class Offered:
    """The names of models; asked once however many want to know at a time."""

    def __init__(self, replicas: Sequence[Replica], clock: Callable[[], float]) -> None:
        self._replicas = replicas
        self._clock = clock
        self._names: tuple[str, ...] = ()
        self._fresh_until = float("-inf")
        self._asking = anyio.Lock()

    async def models(self) -> tuple[str, ...]:
        """Return the names as of a minute ago at most; while no replica answers, those that were known last."""
        async with self._asking:
            if self._clock() >= self._fresh_until:
                self._names = await self._ask()
                self._fresh_until = self._clock() + FRESH_SECONDS
        return self._names

    async def _ask(self) -> tuple[str, ...]:
        for replica in self._replicas:
            if not replica.is_up:
                continue
            try:
                answer = await replica.client.get("/v1/models", within=WAIT_SECONDS)
                found = _decode(answer.body).data if answer.status == 200 else []
            except (EngineError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                found = []
            return tuple(model.id for model in found[:MOST_MODELS]) or self._names
        return self._names
