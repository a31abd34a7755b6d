"""Traces (OpenTelemetry): where spans go, and how a context goes on to an engine. Off unless a collector is named.

No span holds a body, a reference, a custom_id or the text of an error; exceptions are told by their class or code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.trace import Link, Tracer, TracerProvider, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pronk.domain.errors import SettingsError

__all__ = ["carried", "carrier", "context_of", "install", "link_to", "opened", "traceparent", "tracer"]

_propagator = TraceContextTextMapPropagator()
_SCOPE = "pronk"

LAST_SECONDS: Final = 2.0
"""How long the end of a process waits for a collector."""
_PATH = "/v1/traces"


class _Installed:
    tracer: Tracer | None = None


def tracer() -> Tracer | None:
    """Return what makes spans in this process, None while traces are off."""
    return _Installed.tracer


@contextmanager
def install(provider: TracerProvider) -> Iterator[Tracer]:
    """Let this process make its spans with `provider` within the block."""
    before, made = _Installed.tracer, provider.get_tracer(_SCOPE)
    _Installed.tracer = made
    try:
        yield made
    finally:
        _Installed.tracer = before


@contextmanager
def opened(endpoint: str, ratio: float, version: str) -> Iterator[None]:
    """Send spans to an OTLP collector over HTTP within the block, nothing at all for an empty `endpoint`.

    A trace is kept with probability `ratio` unless its caller has decided already. What was not sent yet is sent at the
    end, as far as the collector takes it in `LAST_SECONDS`. Raises SettingsError when the packages for that are not installed.
    """
    if not endpoint:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider as Provider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"traces are to go to {endpoint}, but the packages for that are missing: pip install 'pronk[otel]', "
            "or leave out traces_endpoint (and set OTEL_SDK_DISABLED=true where OTEL_… variables name a collector)"
        ) from error
    named = Resource({"service.name": "pronk", "service.version": version})
    sampler = ParentBasedTraceIdRatio(ratio)
    provider = Provider(resource=named.merge(Resource.create()), sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address(endpoint))))
    try:
        with install(provider):
            yield
    finally:
        wait_for(provider.shutdown, LAST_SECONDS)


def wait_for(deed: Callable[[], object], seconds: float) -> None:
    """Do something that may take long, and wait for it so long; then it is left to its fate, which ends with the process."""
    thread = Thread(target=deed, daemon=True)
    thread.start()
    thread.join(seconds)


def address(endpoint: str) -> str:
    """Return where spans are posted: a collector's bare address gets the path that OTLP has for traces."""
    return endpoint.rstrip("/") + _PATH if urlsplit(endpoint).path in {"", "/"} else endpoint


def carrier() -> Callable[[], bytes]:
    """Return what gives the header lines that take the context of a request on to an engine.

    While traces are off that is `bytes` itself, which costs nothing worth counting and gives nothing.
    """
    return bytes if _Installed.tracer is None else carried


def carried() -> bytes:
    """Return ``traceparent`` and ``tracestate`` of the current span as header lines, b"" outside of any."""
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")


def traceparent() -> str | None:
    """Return the current span's context as text that may be kept; None outside of any and while traces are off."""
    if _Installed.tracer is None:
        return None
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers.get("traceparent")


def context_of(headers: Mapping[str, str]) -> Context:
    """Return the context that a caller sent along, an empty one when there is none or it is not well formed."""
    return _propagator.extract(headers, Context())


def link_to(kept: str | None) -> list[Link]:
    """Return the link to a context that `traceparent` gave."""
    if kept is None:
        return []
    found = get_current_span(context_of({"traceparent": kept})).get_span_context()
    return [Link(found)] if found.is_valid else []
