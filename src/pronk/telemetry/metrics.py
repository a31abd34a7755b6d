"""Every metric that there is.

A worker of a server writes its own into files, whose names say how those of several processes make one number: a sum,
the least, or the greatest. The kind is chosen here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY: Final = CollectorRegistry()
_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ANSWER: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"pronk_{name}", text, labels, registry=REGISTRY)


def _gauge(
    name: str, text: str, *labels: str, mode: Literal["livesum", "livemin", "livemax"] = "livesum"
) -> Gauge:
    return Gauge(f"pronk_{name}", text, labels, registry=REGISTRY, multiprocess_mode=mode)


def _histogram(name: str, text: str, *labels: str, buckets: Iterable[float] = _QUICK) -> Histogram:
    return Histogram(f"pronk_{name}", text, labels, registry=REGISTRY, buckets=tuple(buckets))


BATCHES = _gauge("batches", "Batches that have not ended, by status.", "status")
QUEUE_LINES = _gauge("queue_lines", "Request lines of batches in progress that have no durable result yet.")
SHARDS = _gauge("shards", "Shards of batches that have not ended, by state.", "state")
QUEUE_AGE = _gauge("queue_age_seconds", "How long the oldest batch with shards to claim is in progress.")
WORKERS = _gauge("workers", "Workers that were heard of within a lease.")
DELIVERIES_WAITING = _gauge(
    "deliveries_waiting",
    "Deliveries that are owed and not made: events to webhooks, copies of result files.",
    "kind",
)
DELIVERIES = _counter(
    "deliveries_total",
    "Tries of deliveries: outcome is delivered, failed (tried again later) or given_up.",
    "kind",
    "outcome",
)

LINES = _counter(
    "lines_total",
    "Request lines whose result became durable: outcome is answered or failed; code is 2xx, the engine's status or the "
    "error's code. Lines that an ended batch leaves over did not run and are not counted.",
    "outcome",
    "code",
)
RETRIES = _counter(
    "request_retries_total",
    "Tries of requests after the first one, by the status or error of the one before.",
    "reason",
)
TOKENS = _counter(
    "tokens_total",
    "Tokens of durable results: input (of which cached) and output (of which reasoning).",
    "kind",
)

SHARDS_CLAIMED = _counter("shards_claimed_total", "Shards claimed by workers.")
CLAIMS_LOST = _counter("claims_lost_total", "Claims lost to another worker.")
PARTS_WRITTEN = _counter("parts_written_total", "Journal parts written.")
PARTS_DAMAGED = _counter(
    "parts_damaged_total", "Journal parts that were found cut or changed; their lines run again."
)
PART_BYTES = _counter("part_bytes_total", "Bytes of result lines in journal parts written.")
OUTAGE = _gauge(
    "outage",
    "1 while some process waits for a part (database, storage or engine) that does not answer.",
    "part",
    mode="livemax",
)

ENGINE_IN_FLIGHT = _gauge("engine_in_flight", "Requests that an engine works on now.", "engine", "replica")
ENGINE_LIMIT = _gauge(
    "engine_limit", "Requests that all workers may have in flight at an engine.", "engine", "replica"
)
ENGINE_UP = _gauge(
    "engine_up", "1 while every process finds the replica up, else 0.", "engine", "replica", mode="livemin"
)
ENGINE_REQUESTS = _counter(
    "engine_requests_total", "Answers of engines by HTTP status, or by error.", "engine", "replica", "status"
)
ENGINE_SECONDS = _histogram(
    "engine_request_seconds", "Time until an engine's whole answer.", "engine", buckets=_ANSWER
)

FETCHES = _counter(
    "fetches_total",
    "References asked for where they point to: outcome is ok, unchanged, or the error's code after all tries.",
    "scheme",
    "outcome",
)
FETCH_BYTES = _counter("fetch_bytes_total", "Bytes read through references.", "scheme")
FETCH_SECONDS = _histogram("fetch_seconds", "Time to read one reference, with its tries.", "scheme")
CACHE_HITS = _counter(
    "cache_hits_total", "References answered from memory, disk, or a fetch under way (flight).", "tier"
)
CACHE_MISSES = _counter(
    "cache_misses_total", "References that had to be fetched, or asked for whether they changed."
)
CACHE_BYTES = _gauge("cache_memory_bytes", "Bytes of objects that are kept in memory to be used again.")
PREFETCHED = _gauge("prefetched_bytes", "Bytes held or expected for the media of requests on their way.")

HTTP_REQUESTS = _counter("http_requests_total", "Requests to this server.", "method", "route", "status")
HTTP_SECONDS = _histogram(
    "http_request_seconds", "Time until the head of this server's answer.", "method", "route"
)
STORE_SECONDS = _histogram(
    "store_seconds", "Time of one database transaction with its wait for a turn: read or write.", "kind"
)
