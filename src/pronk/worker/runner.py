"""One request in, one result line out; the only place where a request is tried again."""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from pronk.domain.errors import EngineError, RequestError
from pronk.domain.ids import new_id
from pronk.domain.lines import answer_line, error_line
from pronk.domain.retry import RETRIABLE_STATUSES, RetryPolicy
from pronk.domain.usage import NO_USAGE, Usage, read_usage
from pronk.journal import Mark
from pronk.telemetry.metrics import RETRIES
from pronk.worker.ports import AnswerPort, EnginePort, MediaPort
from pronk.worker.shard import Request

log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode


class Facts(msgspec.Struct, omit_defaults=True, gc=False):
    """What was measured on the way; kept beside the result line. Times are milliseconds; `at` is when the line ended, in Unix seconds."""

    tries: int = 1
    fetch_ms: int = 0
    engine_ms: int = 0
    replica: str = ""
    at: int = 0
    media: Any = None


class Runner:
    """Runs requests on one pool."""

    def __init__(
        self,
        engine: EnginePort,
        media: MediaPort,
        policy: RetryPolicy,
        *,
        chance: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        with_uuid: bool = False,
        reads_files: bool = False,
    ) -> None:
        self._engine = engine
        self._media = media
        self._policy = policy
        self._chance = chance
        self._sleep = sleep
        self._with_uuid = with_uuid
        self._reads_files = reads_files

    def names_media(self, request: Request) -> bool:
        """Whether the request has to be prepared first."""
        return self._media.names_media(request.body)

    async def prepare(self, request: Request) -> None:
        """Put what the request's references name into its body, or note why that cannot be."""
        started = time.monotonic()
        batch = request.shard.batch
        try:
            request.resolved = await self._media.resolve(
                request.body,
                endpoint=batch.endpoint,
                policy=batch.job.media,
                project=batch.project_id,
                fresh_since=batch.created_at,
                with_uuid=self._with_uuid,
                reads_files=self._reads_files,
            )
        except RequestError as error:
            request.error = error.with_traceback(None)  # which holds the request in turn, with all its bytes
        except Exception as error:  # noqa: BLE001  # a fault of ours must cost one line, not its neighbours
            request.error = _internal(request, error)
        request.fetch_seconds = time.monotonic() - started

    async def run(self, request: Request) -> tuple[Mark, bytes]:
        """Return the request's result line. Nothing but cancellation escapes."""
        facts = Facts(fetch_ms=int(request.fetch_seconds * 1000))
        try:
            if request.error is not None:
                return _failed(request, request.error, facts)
            if request.resolved is not None and request.resolved.facts:
                facts.media = list(request.resolved.facts)
            return _finished(request, await self._tried(request, facts), facts)
        except RequestError as error:
            return _failed(request, error, facts)
        except Exception as error:  # noqa: BLE001  # a fault of ours must cost one line, not its neighbours
            return _failed(request, _internal(request, error), facts)

    async def _tried(self, request: Request, facts: Facts) -> _Checked:
        """Try until the answer is final; the last answer or error stands when the tries are used up."""
        body = request.body if request.resolved is None else request.resolved.pieces
        avoid: tuple[str, ...] = ()
        while True:
            retry_after: float | None
            try:
                started = time.monotonic()
                answer = await self._engine.complete(request.url, body, avoid=avoid)
                facts.engine_ms = int((time.monotonic() - started) * 1000)
                facts.replica = answer.replica
                if answer.status not in RETRIABLE_STATUSES or facts.tries >= self._policy.max_tries:
                    return _check(answer)
                retry_after, avoid, reason = answer.retry_after, (answer.replica,), str(answer.status)
            except EngineError as error:
                if self._engine.is_out:
                    await self._engine.wait_until_up()
                    continue
                if facts.tries >= self._policy.max_tries:
                    raise
                retry_after, reason = error.retry_after, error.code
            await self._sleep(self._policy.delay(facts.tries, chance=self._chance(), retry_after=retry_after))
            facts.tries += 1
            RETRIES.labels(reason).inc()


class _Checked(msgspec.Struct, gc=False):
    """An answer whose body is known to be one JSON object."""

    answer: AnswerPort
    usage: Usage
    body: bytes

    @property
    def code(self) -> str | None:
        return None if 200 <= self.answer.status < 300 else str(self.answer.status)


def _check(answer: AnswerPort) -> _Checked:
    """Read the tokens. A success that is not JSON is as good as none; an error that is not is told as OpenAI tells it."""
    try:
        return _Checked(answer, read_usage(answer.body)[0], answer.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        if 200 <= answer.status < 300:
            message = "The engine answered with something that is not a JSON object."
            raise EngineError("engine_unavailable", message) from None
    text = answer.body[:2000].decode(errors="replace")
    shown = {"error": {"message": text, "type": "engine_error", "param": None, "code": None}}
    return _Checked(answer, NO_USAGE, _encode(shown))


def _finished(request: Request, checked: _Checked, facts: Facts) -> tuple[Mark, bytes]:
    answer = checked.answer
    line = answer_line(request.head, answer.status, answer.request_id, checked.body)
    return _mark(request, line, checked.code, checked.usage, facts), line


def _failed(request: Request, error: RequestError, facts: Facts) -> tuple[Mark, bytes]:
    line = error_line(request.head, error)
    return _mark(request, line, error.code, NO_USAGE, facts), line


def _mark(request: Request, line: bytes, code: str | None, usage: Usage, facts: Facts) -> Mark:
    facts.at = int(time.time())
    return Mark(request.head.line, len(line), code, usage, msgspec.Raw(_encode(facts)))


def _internal(request: Request, error: Exception) -> RequestError:
    reference = new_id("log_")
    trace = "".join(traceback.format_exception(error))
    where = {"batch": request.head.batch_id, "line": request.head.line}
    log.error("request_broke", reference=reference, **where, error=repr(error), traceback=trace)
    return RequestError(
        "internal_error", f"pronk failed on this line; its log has {reference}.", retriable=True
    )
