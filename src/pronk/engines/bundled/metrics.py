"""The engine's Prometheus metrics, named as vLLM names them, so that what reads one reads the other."""

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from pronk.engines.bundled.answer import Answer
from pronk.engines.bundled.engine import Engine

disable_created_metrics()  # type: ignore[no-untyped-call]

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
LABELS = ("model_name",)


class Metrics:
    """Counters of one served model; gauges ask the engine when they are read."""

    def __init__(self, engine: Engine, model: str) -> None:
        self._registry = CollectorRegistry()
        self._model = model
        self._prompt = self._counter(
            "vllm:prompt_tokens", "Prompt tokens of finished requests, pictures included."
        )
        self._generated = self._counter("vllm:generation_tokens", "Tokens of finished choices.")
        self._success = Counter(
            "vllm:request_success",
            "Choices that came to an end.",
            (*LABELS, "finished_reason"),
            registry=self._registry,
        )
        self._refused = Counter(
            "pronk_engine:requests_refused",
            "Requests answered with an error, by HTTP status.",
            (*LABELS, "status"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "vllm:e2e_request_latency_seconds",
            "Seconds from the last byte of a request to its whole answer.",
            LABELS,
            buckets=SECONDS,
            registry=self._registry,
        )
        self._gauges(engine)

    def _gauges(self, engine: Engine) -> None:
        self._gauge("vllm:num_requests_running", "Sequences being generated.").set_function(
            lambda: engine.running_count
        )
        self._gauge("vllm:num_requests_waiting", "Sequences waiting for room.").set_function(
            lambda: engine.waiting_count
        )
        self._gauge("vllm:kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1.").set_function(
            lambda: engine.cache_usage if engine.running_count else 0.0
        )
        self._gauge("pronk_engine:restarts", "Times the generating process was started again.").set_function(
            lambda: engine.restarts
        )

    def finished(
        self, answers: Iterable[Answer], finishes: Iterable[str], choices: int, seconds: float
    ) -> None:
        """Count one request that was answered whole."""
        for index, (answer, finish) in enumerate(zip(answers, finishes, strict=True)):
            if index % choices == 0:
                self._prompt.inc(answer.prompt_tokens)
            self._generated.inc(answer.completion_tokens)
            self._success.labels(self._model, finish).inc()
        self._latency.labels(self._model).observe(seconds)

    def refused(self, status: int) -> None:
        self._refused.labels(self._model, str(status)).inc()

    def exposition(self) -> bytes:
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, LABELS, registry=self._registry).labels(self._model)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, LABELS, registry=self._registry).labels(self._model)
