"""One engine replica: its client, its limit, and whether it is up."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from pronk.domain.bodies import Body
from pronk.domain.errors import EngineError
from pronk.engines.client import Answer, Client, Stream
from pronk.engines.gauges import read_gauges
from pronk.engines.limiter import Limiter, Mark
from pronk.engines.measured import Measured

FAILURES_TO_EJECT = 3
SLOW_RETURN_SECONDS = 10.0
PROBE_TIMEOUT = 5.0
LOOKS_SKIPPED = 60
_GATEWAY_STATUSES = frozenset({502, 503, 504})
_OUTPUT_TOKENS = re.compile(rb'"(?:completion|output)_tokens"\s*:\s*(\d+)')
_log = structlog.get_logger(__name__)


class Replica:
    """A server of a pool. It is ejected after some failures in a row and comes back by a probe, slowly.

    A probe decides nothing while requests are being answered: a busy engine may be late on its health route.
    """

    def __init__(self, client: Client, limiter: Limiter, clock: Callable[[], float]) -> None:
        self.name = client.name
        self.client = client
        self.limiter = limiter
        self.is_up = True
        self.measured = Measured()
        self._clock = clock
        self._failures = 0
        self._returned_at = float("-inf")
        self._answers = 0
        self._answers_at_probe = 0
        self._health_path = "/health"
        self._looks_to_skip = 0

    @property
    def in_flight(self) -> int:
        """Requests that are out."""
        return self.limiter.flying

    @property
    def limit(self) -> int:
        """How many requests it should get now; grows over some seconds after an outage."""
        since = self._clock() - self._returned_at
        if since >= SLOW_RETURN_SECONDS:
            return self.limiter.limit
        return max(1, round(self.limiter.limit * max(0.1, since / SLOW_RETURN_SECONDS)))

    @property
    def load(self) -> float:
        """Requests in flight, the next one included, as a share of the limit; failures weigh as much as a full one."""
        return (self.in_flight + 1) / self.limit + self._failures

    async def complete(self, path: str, body: Body) -> Answer:
        """Send one request; raises `EngineError`."""
        mark = self.limiter.started(self._clock())
        try:
            answer = await self.client.post(path, body)
        except BaseException as error:
            self.limiter.gone(self._clock())
            if isinstance(error, EngineError):
                self._count(error)
            raise
        self._judge(answer, mark)
        return answer

    @asynccontextmanager
    async def stream(self, path: str, body: Body) -> AsyncIterator[Stream]:
        """Send one request whose answer is passed on while it comes; raises `EngineError`."""
        self.limiter.started(self._clock())
        try:
            async with self.client.stream(path, body) as stream:
                self._failures = 0
                self.measured.ended(stream.status)
                yield stream
        except EngineError as error:
            self.measured.ended(error.code)
            raise
        finally:
            self.limiter.gone(self._clock())

    async def look(self) -> None:
        """Show the limiter what the engine says of itself; an engine that says nothing is asked only now and then."""
        self._looks_to_skip -= 1
        if not self.is_up or self._looks_to_skip > 0:
            return
        try:
            answer = await self.client.get("/metrics", within=PROBE_TIMEOUT)
        except EngineError:
            return
        gauges = read_gauges(answer.body.decode(errors="replace")) if answer.status == 200 else None
        if gauges is None:
            self._looks_to_skip = LOOKS_SKIPPED
        else:
            self.limiter.look(self._clock(), gauges)

    def _judge(self, answer: Answer, mark: Mark) -> None:
        now = self._clock()
        self.measured.answered(answer.status, now - mark[0])
        if answer.status == 200:
            self.limiter.finished(now, mark, work_of(answer.body))
        else:
            self.limiter.gone(now)
        if answer.status in {429, 503}:
            self.limiter.refused(now)
        if answer.status in _GATEWAY_STATUSES:
            self._fail()
        else:
            self._failures = 0
            self._answers += 1

    def _count(self, error: EngineError) -> None:
        self.measured.ended(error.code)
        if error.code == "engine_unavailable":
            self._fail()

    def _fail(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES_TO_EJECT:
            self._set_up(up=False)

    def _set_up(self, *, up: bool) -> None:
        if up == self.is_up:
            return
        self.is_up = up
        self._failures = 0
        if up:
            self._returned_at = self._clock()
        _log.warning("engine replica is back" if up else "engine replica is out", replica=self.name)

    async def probe(self) -> None:
        """Ask whether it lives, unless its answers have just said so."""
        answered = self._answers != self._answers_at_probe
        self._answers_at_probe = self._answers
        if not (self.is_up and answered):
            alive = await self._is_alive()
            if alive or self._answers == self._answers_at_probe:
                self._set_up(up=alive)

    async def _is_alive(self) -> bool:
        try:
            answer = await self.client.get(self._health_path, within=PROBE_TIMEOUT)
            if answer.status in {404, 405, 501} and self._health_path == "/health":
                self._health_path = "/v1/models"
                answer = await self.client.get(self._health_path, within=PROBE_TIMEOUT)
        except EngineError:
            return False
        return answer.status < 500


def work_of(body: bytes) -> float:
    """Return how much work an answer was: its output tokens, or 1 where it names none."""
    found = _OUTPUT_TOKENS.search(body, max(0, len(body) - 1024)) or _OUTPUT_TOKENS.search(body)
    return float(found[1]) if found else 1.0
