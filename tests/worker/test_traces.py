"""Traces: what a line's spans say, what they keep to themselves, what the engine and the collector get."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import StatusCode
from tests.conformance.server import running_server
from tests.worker.world import CHAT, open_world, request_file, request_line

from pronk.telemetry import traces

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    with tracing(1.0) as exporter:
        yield exporter


class tracing:  # noqa: N801  # a context manager
    """Trace into memory, a share of all traces."""

    def __init__(self, ratio: float) -> None:
        self._provider = TracerProvider(sampler=ParentBasedTraceIdRatio(ratio))
        self._exporter = InMemorySpanExporter()
        self._provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._installed = traces.install(self._provider)

    def __enter__(self) -> InMemorySpanExporter:
        self._installed.__enter__()
        return self._exporter

    def __exit__(self, *error: object) -> None:
        self._installed.__exit__(*error)  # type: ignore[arg-type]  # as they came
        self._provider.shutdown()


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def context(span: ReadableSpan) -> Any:
    assert span.context is not None
    return span.context


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def header(span: ReadableSpan) -> str:
    return f"00-{context(span).trace_id:032x}-{context(span).span_id:016x}-{context(span).trace_flags:02x}"


@pytest.mark.anyio
async def test_a_line_is_a_trace_with_fetch_and_engine_below(
    tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    async with open_world(tmp_path) as world, world.working():
        data = request_line(1, text="s3://good/a.png", custom_id="secret-name")
        batch_id = await world.add_batch(data, traceparent=CALLER)
        await world.until_ended(batch_id)
        (seen,) = world.engine.requests
    (line,), (fetch,), (engine,) = (named(spans, name) for name in ("line", "fetch", "engine"))
    assert line.parent is None
    assert [f"{link.context.trace_id:032x}" for link in line.links] == [CALLER.split("-")[1]]
    for child in (fetch, engine):
        assert child.parent is not None
        assert child.parent.span_id == context(line).span_id
    assert attributes(line)["pronk.batch.id"] == batch_id
    assert attributes(line)["pronk.line"] == 1
    assert attributes(engine)["pronk.replica"] == "default-0"
    assert attributes(engine)["http.response.status_code"] == 200
    assert seen.header("traceparent") == header(engine)
    told = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "secret-name" not in told
    assert "a.png" not in told
    assert "base64" not in told


@pytest.mark.anyio
async def test_failures_are_told_by_their_code_and_each_try_is_a_span(
    tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    async with open_world(tmp_path) as world, world.working():
        data = request_line(1, text="s3://lost/a.png") + request_line(2, model="status-500")
        await world.until_ended(await world.add_batch(data))
        assert [seen.header("traceparent") for seen in world.engine.requests] == [
            header(span) for span in named(spans, "engine")
        ]
    codes = {attributes(span)["pronk.line"]: attributes(span)["error.type"] for span in named(spans, "line")}
    assert codes == {1: "image_not_found", 2: "500"}
    assert len(named(spans, "engine")) == 3, "a try each"
    failed = [*named(spans, "line"), *named(spans, "fetch"), *named(spans, "engine")]
    assert {span.status.status_code for span in failed} == {StatusCode.ERROR}
    assert not any(span.events or span.status.description for span in failed)


@pytest.mark.anyio
async def test_a_share_of_lines_is_traced_and_engines_hear_of_the_decision(tmp_path: Path) -> None:
    with tracing(0.25) as spans:
        async with open_world(tmp_path) as world, world.working():
            await world.until_ended(await world.add_batch(request_file(400)))
            sent = [seen.header("traceparent") or "" for seen in world.engine.requests]
        assert 40 < len(named(spans, "line")) < 180
        assert sum(int(text[-2:], 16) & 1 for text in sent) == len(named(spans, "line"))
        assert sum(not int(text[-2:], 16) & 1 for text in sent) == 400 - len(named(spans, "line"))


@pytest.mark.anyio
async def test_without_traces_nothing_is_added_to_a_request(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.working():
        batch_id = await world.add_batch(request_file(1))
        batch = await world.until_ended(batch_id)
        assert world.engine.requests[0].header("traceparent") is None
    assert batch.traceparent is None


def test_the_api_goes_on_with_its_callers_trace(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    with running_server(tmp_path, has_worker=True) as server, httpx2.Client(base_url=server.url) as http:
        body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
        http.headers["traceparent"] = CALLER
        for stream in (False, True):
            assert http.post(CHAT, json={**body, "stream": stream}).status_code == 200
        sent = [seen.header("traceparent") for seen in server.engine.requests]
        file = http.post(
            "/v1/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", request_file(1))}
        ).json()
        asked = {"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h"}
        batch = http.post("/v1/batches", json=asked).json()
        while batch["status"] != "completed":
            batch = http.get(f"/v1/batches/{batch['id']}").json()
    assert sent == [header(span) for span in named(spans, f"POST {CHAT}")]
    (made,) = named(spans, "POST /v1/batches")
    assert made.parent is not None
    assert f"{made.parent.span_id:016x}" == CALLER.split("-")[2]
    (line,) = named(spans, "line")
    assert [link.context.span_id for link in line.links] == [context(made).span_id]


def test_spans_reach_a_collector_over_http() -> None:
    got: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Collector) as collector:
        serving = threading.Thread(target=collector.serve_forever, args=(0.01,))
        serving.start()
        with traces.opened(f"http://127.0.0.1:{collector.server_port}", 1.0, "9.9"):
            made = traces.tracer()
            assert made is not None
            with made.start_as_current_span("line"):
                assert b"traceparent: 00-" in traces.carried()
        collector.shutdown()
        serving.join()
    assert traces.tracer() is None
    assert [path for path, _ in got] == ["/v1/traces"]
    assert b"pronk" in got[0][1]
    assert b"9.9" in got[0][1]
