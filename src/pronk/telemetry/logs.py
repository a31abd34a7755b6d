"""Logs: one form for our lines and those of libraries, for people on a terminal and for machines elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO, cast

import msgspec
import structlog
from opentelemetry.trace import get_current_span


def configure_logs(
    level: str, form: Literal["auto", "console", "json"] = "auto", *, stream: TextIO | None = None
) -> None:
    """Send pronk's lines and those of its libraries to `stream`, else to what is standard error then, one form for all.

    Libraries only speak from `warning` on, so that no request of theirs, with its signed URL, is ever logged.
    """
    is_terminal = (sys.stderr if stream is None else stream).isatty()
    stream = cast("TextIO", _StandardError()) if stream is None else stream
    is_console = form == "console" or (form == "auto" and is_terminal)
    renderer = _console(has_colors=is_terminal) if is_console else _json()
    common: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        _with_trace,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if is_console else "iso", utc=not is_console),
    ]
    structlog.configure(
        processors=[*common, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    _adopt_libraries(common, renderer, stream)


class _StandardError:
    """Standard error as it is when something is written: whoever puts another in its place gets the lines."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _console(*, has_colors: bool) -> list[structlog.types.Processor]:
    """Plain tracebacks: the pretty ones show local variables, and with them bodies and keys."""
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=has_colors, sort_keys=False, exception_formatter=plain)]


def _json() -> list[structlog.types.Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_to_json)]


def _with_trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name the trace that a line belongs to, by the ids that its spans have at the collector."""
    found = get_current_span().get_span_context()
    if found.is_valid:
        event["trace_id"], event["span_id"] = f"{found.trace_id:032x}", f"{found.span_id:016x}"
    return event


def _to_json(event: MutableMapping[str, Any], **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def _adopt_libraries(
    common: list[structlog.types.Processor], renderer: list[structlog.types.Processor], stream: TextIO
) -> None:
    handler = logging.StreamHandler(stream)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=common,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
