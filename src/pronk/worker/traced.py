"""A runner that makes a trace of each line: a span with the children fetch and engine, one engine span for each try.

Lines are traces of their own, with a link to the request that made their batch: one trace of fifty thousand lines is of
use to nobody, and each line is sampled by itself.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, use_span

from pronk.domain.bodies import Body
from pronk.domain.errors import EngineError
from pronk.journal import Mark
from pronk.telemetry.traces import link_to, tracer
from pronk.worker.ports import AnswerPort, EnginePort, MediaPort
from pronk.worker.runner import Runner
from pronk.worker.shard import Request


def make_runner(engine: EnginePort, media: MediaPort, *more: Any, **named: Any) -> Runner:
    """Return a runner as `Runner` makes it; one that traces where traces are on."""
    found = tracer()
    if found is None:
        return Runner(engine, media, *more, **named)
    return TracedRunner(found, engine, media, *more, **named)


class TracedRunner(Runner):
    """Runs requests on one pool, as `Runner` does."""

    def __init__(
        self, tracer: Tracer, engine: EnginePort, media: MediaPort, *more: Any, **named: Any
    ) -> None:
        super().__init__(TracedEngine(engine, tracer), media, *more, **named)
        self._tracer = tracer

    async def prepare(self, request: Request) -> None:
        request.span = self._begin(request)
        with (
            use_span(request.span, record_exception=False, set_status_on_exception=False),
            _child(self._tracer, "fetch") as fetch,
        ):
            await super().prepare(request)
            if request.error is not None:
                _fail(fetch, request.error.code)
            elif request.resolved is not None:
                fetch.set_attribute("pronk.references", len(request.resolved.facts))

    async def run(self, request: Request) -> tuple[Mark, bytes]:
        span, request.span = request.span or self._begin(request), None
        with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            mark, line = await super().run(request)
            span.set_attribute("gen_ai.usage.input_tokens", mark.usage.input_tokens)
            span.set_attribute("gen_ai.usage.output_tokens", mark.usage.output_tokens)
            if mark.code is not None:
                _fail(span, mark.code)
            return mark, line

    def _begin(self, request: Request) -> Span:
        batch = request.shard.batch
        return self._tracer.start_span(
            "line",
            context=Context(),
            links=link_to(batch.traceparent),
            attributes={
                "pronk.batch.id": batch.id,
                "pronk.line": request.head.line,
                "pronk.job.id": batch.job.id,
                "pronk.project.id": batch.project_id,
                "pronk.endpoint": request.url,
            },
        )


class TracedEngine:
    """A pool whose every try is a span; the engine hears of it by ``traceparent``."""

    def __init__(self, engine: EnginePort, tracer: Tracer) -> None:
        self._engine = engine
        self._tracer = tracer

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def limit(self) -> int:
        return self._engine.limit

    @property
    def is_out(self) -> bool:
        return self._engine.is_out

    async def wait_until_up(self) -> None:
        await self._engine.wait_until_up()

    async def complete(self, path: str, body: Body, *, avoid: Collection[str] = ()) -> AnswerPort:
        with _child(self._tracer, "engine", SpanKind.CLIENT) as span:
            span.set_attribute("pronk.engine", self._engine.name)
            try:
                answer = await self._engine.complete(path, body, avoid=avoid)
            except EngineError as error:
                _fail(span, error.code)
                raise
            span.set_attribute("pronk.replica", answer.replica)
            span.set_attribute("http.response.status_code", answer.status)
            if answer.status >= 400:
                _fail(span, str(answer.status))
            return answer


def _child(tracer: Tracer, name: str, kind: SpanKind = SpanKind.INTERNAL) -> Any:
    return tracer.start_as_current_span(
        name, kind=kind, record_exception=False, set_status_on_exception=False
    )


def _fail(span: Span, code: str) -> None:
    span.set_attribute("error.type", code)
    span.set_status(StatusCode.ERROR)
