"""Writes docs/reference.md from the code: every setting, metric and error code. `--check` only says whether it is current."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

from pronk.domain.bucket import BucketRule
from pronk.domain.engine import EngineSpec
from pronk.domain.job import Job, MediaPolicy, Price
from pronk.settings.about import MEMBERS, default_of, members
from pronk.settings.load import Leaf, Shortcuts, leaves
from pronk.settings.values import words
from pronk.telemetry import metrics

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference.md"
METRICS_TEXT: Final = (
    "`GET /metrics`, in Prometheus' form: the server and its worker processes as one. `deploy/observability` has a dashboard "
    "and alert rules."
)
MEDIA_KINDS: Final = "`image_…`, `video_…`, `audio_…`, `document_…`"
MEDIA: Final = (
    "Which references the job may read. A list that names `http://…` or `file://…` lets these in, where `[web]` serves them; "
    "`*` does not. In an image part, `s3://bucket/file.pdf` is every page of a document, `file.pdf#page=3` one and "
    "`file.pdf#page=1-4` a few; several pages become several parts. Documents, and HEIC pictures, need "
    "`pip install pronk[documents]`."
)

LINE_CODES: Final[Mapping[str, tuple[str, str]]] = {
    "image_not_found": ("no such key or bucket, or the web server says 404 or 410", "no"),
    "image_access_denied": ("the store says 401 or 403, or no credentials were found", "no"),
    "image_not_allowed": ("the job's allow-list does not have it, or its address may not be reached", "no"),
    "image_too_large": ("bytes or pixels over the job's limit", "no"),
    "image_invalid": ("empty, cut, undecodable, or not an image", "no"),
    "image_unsupported": ("a scheme or format that is not served, or a malformed reference", "no"),
    "image_fetch_failed": ("timeouts, 5xx or resets, after all tries", "yes"),
    "engine_unavailable": ("no replica answered, after all tries", "yes"),
    "engine_timeout": ("no answer in the request's time, after all tries", "yes"),
    "batch_expired": ("the window ended before the line ran", "-"),
    "batch_cancelled": ("the batch was cancelled before the line ran", "-"),
    "internal_error": ("a fault of pronk's own; the message has a reference to the log", "yes"),
}
FILE_CODES: Final[Mapping[str, str]] = {
    "invalid_json_line": "a line is not one JSON object",
    "missing_required_parameter": "a line or its body lacks what every request has",
    "invalid_custom_id": "`custom_id` is no text, is empty or is too long",
    "duplicate_custom_id": "another line has the same `custom_id`",
    "invalid_method": "`method` is not POST",
    "url_mismatch": "`url` is not the batch's endpoint",
    "model_mismatch": "the body's model is not the job's",
    "invalid_request": "`body` is no object, asks for a stream, or names no model that is text",
    "line_too_long": "a line is longer than `max_line_bytes`",
    "empty_file": "the file has no request",
    "too_many_tasks": "the file has more than `max_lines` requests",
    "too_many_embedding_inputs": "the file has more than `max_embedding_inputs` inputs",
}
API_CODES: Final[Mapping[str, str]] = {
    "batch_ended": "409: the batch has ended, so it cannot be cancelled",
    "batch_not_ended": "409: the batch has not ended, so its failed lines cannot be tried again yet",
    "body_too_large": "413: the body of a request that is answered at once",
    "check_too_long": "400: the check took longer than `check_seconds`",
    "disconnected": "400: the connection closed before the request was whole",
    "engine_error": "the engine's own refusal of a request that is answered at once, with its status",
    "engine_unavailable": "503: no replica answers a request that is answered at once",
    "error_file_gone": "400: the batch's error file is gone, so its failed lines are not known",
    "file_in_use": "409: a live batch reads or writes the file",
    "file_too_large": "413: the file is over `max_file_bytes`",
    "foreign_origin": "403: a page of another site sent it, to a server without keys",
    "headers_too_large": "431: the request line and its headers are over 64 KiB",
    "idempotency_conflict": "409: the same Idempotency-Key came with another body",
    "input_damaged": "400: a file of the batch has changed in storage, so no line of it is run again",
    "input_file_gone": "400: the batch's input file is gone, so it cannot be run again",
    "insufficient_scope": "403: the key lacks the scope, or is not one of the default project",
    "internal_error": "500: a fault of pronk's own; the message has a reference to the log",
    "invalid_api_key": "401: the key is not known, has expired or was revoked",
    "invalid_content_type": "400: not the content type that the route takes",
    "invalid_cursor": "400: `after` is not an id of this list",
    "invalid_filename": "400: the file's name cannot be kept",
    "invalid_form": "400: the body is not a whole multipart form",
    "invalid_host": "400: a server without keys was called by another name than its machine's own",
    "invalid_http": "400: the bytes are not a whole HTTP request",
    "invalid_json": "400: the body is not JSON",
    "invalid_part": "400: a part of an upload is unknown, named twice, or too large",
    "invalid_purpose": "400: the file is not for what it is used for",
    "invalid_type": "400: the body is JSON, but not a request",
    "invalid_filter": "400: a filter of lines cannot be read; the message says from where on and what would be right",
    "invalid_value": "400: a field has a value that is not served",
    "job_exists": "409: another job has this id",
    "job_in_use": "409: a live batch uses the job",
    "job_not_found": "404: no such job",
    "job_read_only": "409: the job stands in the settings and is changed there",
    "jobs_are_fixed": "403: only the default project makes jobs here (`allow_project_jobs`)",
    "live_batches_exceeded": "429: the project has as many batches that have not ended as it may have",
    "md5_mismatch": "400: the upload's parts are not the bytes that were announced",
    "method_not_supported": "405: the route has other methods",
    "missing_api_key": "401: the server asks for a key",
    "missing_required_parameter": "400: a field is missing",
    "model_not_found": "404: no job serves the model",
    "no_workers": "503 of `/ready`: no worker was heard of within a lease",
    "set_changed": "409: the lines of a filter are not those that somebody agreed to do something with; nothing was done",
    "not_found": "404: no such file, batch or upload",
    "not_ready": "503 of `/ready`: the database or the storage does not answer",
    "nothing_to_retry": "400: no line of the batch failed",
    "output_not_allowed": "400: the job's `output` is not below what `output_allow` names, or outside what its project may reach",
    "outage": "503: the database or the storage does not answer; come back soon",
    "project_exists": "409: another project has the name",
    "queued_requests_exceeded": "429: as many requests of the project wait for their result as may; also the end of a batch that has more",
    "rate_limit_exceeded": "429: the project's requests or uploads of this minute are used up",
    "size_mismatch": "400: the upload's parts are not as long as announced",
    "stored_bytes_exceeded": "429: the project stores as much as it may",
    "tokens_per_day_exceeded": "429: the project has used the day's tokens",
    "too_many_checks": "429: eight checks of the project wait already",
    "too_many_wrong_keys": "429: many wrong keys came from this address",
    "too_many_webhooks": "409: the project has 20 webhooks already",
    "unknown_url": "404: no such route",
    "url_not_allowed": "400: the address of a webhook that would never be reached",
    "upload_ended": "409: the upload is completed, cancelled or expired",
}


def page() -> str:
    """Return the whole page."""
    return "\n".join([*_settings(), *_tables(), *_metrics(), *_codes()]) + "\n"


def _settings() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "Made from the code by `make reference`. Sizes are bytes or text such as `20MB` (thousands) and `64MiB` (1024s)."
    yield ""
    yield "## Settings"
    yield ""
    yield "Flags of `pronk serve` outweigh variables, variables outweigh the TOML file (`--config FILE` or `PRONK_CONFIG`)."
    yield "The key in the file is the flag without its dashes: `data_dir`; `web.allow_http` stands in the table `[web]`."
    yield ""
    yield from _table(("Flag", "Variable", "Default", "Meaning"), map(_setting, leaves()))
    yield ""
    yield "One pool of engines without a file (in the file, `[engines.NAME]` says it):"
    yield ""
    yield from _table(("Flag", "Variable", "Default", "Meaning"), map(_setting, leaves(Shortcuts)))
    yield ""
    yield "Commands that talk to a server read `PRONK_URL` (default `http://127.0.0.1:8000`) and `PRONK_API_KEY`."


def _setting(leaf: Leaf) -> tuple[str, ...]:
    return f"`{leaf.flag}`", f"`{leaf.variable}`", f"`{leaf.default}`" if leaf.default else "", leaf.text


def _tables() -> Iterator[str]:
    tables = (
        ("[engines.NAME]", EngineSpec, "A pool of engine replicas; exactly one of `urls` and `launch`."),
        (
            "[jobs.NAME]",
            Job,
            "A job; its id is `job-NAME`. Without any job there is `job-default`, which takes any model.",
        ),
        ("[jobs.NAME.media]", MediaPolicy, MEDIA),
        ("[jobs.NAME.price]", Price, "What tokens cost."),
        ("[[buckets]]", BucketRule, "Buckets for which the standard AWS chain does not do."),
    )
    for heading, kind, text in tables:
        yield from ("", f"### `{heading}`", "", text, "")
        rows = (
            (
                f"`{name}`",
                f"`{default_of(field)}`" if default_of(field) else "",
                MEMBERS[kind][name].text,
                words(field.type, name),
            )
            for name, field in members(kind, but=frozenset({"name", "id", "output_of_others"})).items()
        )
        yield from _table(("Key", "Default", "Meaning", "Value"), rows)


def _metrics() -> Iterator[str]:
    yield from ("", "## Metrics", "", METRICS_TEXT, "")
    used = set(re.findall(r"\b[A-Z][A-Z_]+\b", " ".join(_sources())))
    found = {name: each for name, each in vars(metrics).items() if isinstance(each, MetricWrapperBase)}
    yield from _table(
        ("Name", "Type", "Labels", "Meaning"), (_metric(found[name]) for name in found if name in used)
    )


def _sources() -> Iterator[str]:
    """Yield the modules that could set a metric: one that nothing sets is not on the page."""
    own = Path(metrics.__file__)
    texts = (path.read_text("utf-8") for path in own.parents[1].rglob("*.py") if path != own)
    return (text for text in texts if "telemetry.metrics import" in text)


def _metric(metric: MetricWrapperBase) -> tuple[str, ...]:
    name = metric._name + ("_total" if metric._type == "counter" else "")  # noqa: SLF001 - the library has no other way
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001
    return f"`{name}`", str(metric._type), labels, metric._documentation  # noqa: SLF001


def _codes() -> Iterator[str]:
    yield from ("", "## Error codes", "", "### Of a line, in the error file", "")
    yield f"Other media have the same codes with their own prefix: {MEDIA_KINDS}."
    yield ""
    rows = ((f"`{code}`", when, again) for code, (when, again) in LINE_CODES.items())
    yield from _table(("Code", "When", "Tried again"), rows)
    yield from ("", "### Of a file that does not pass validation, in the batch's `errors`", "")
    yield from _table(("Code", "When"), ((f"`{code}`", when) for code, when in FILE_CODES.items()))
    yield from ("", "### Of an HTTP answer, in the error envelope", "")
    yield from _table(("Code", "When"), ((f"`{code}`", when) for code, when in API_CODES.items()))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(headings) + " |"
    yield "|" + "---|" * len(headings)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text("utf-8") != page())
    PAGE.write_text(page(), "utf-8")
