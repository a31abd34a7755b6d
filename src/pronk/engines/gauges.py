"""What an engine says of itself at ``/metrics``, in the words of vLLM, SGLang and llama.cpp."""

from __future__ import annotations

import re

import msgspec

_SAMPLE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{[^}]*\})? ([-+0-9.eE]+|NaN|[-+]?Inf)", re.MULTILINE)
_NAMES = {
    "running": ("vllm:num_requests_running", "sglang:num_running_reqs", "llamacpp:requests_processing"),
    "waiting": ("vllm:num_requests_waiting", "sglang:num_queue_reqs", "llamacpp:requests_deferred"),
    "preemptions": ("vllm:num_preemptions_total", "vllm:num_preemptions", "sglang:num_retracted_reqs_total"),
    "kv_use": ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage"),
}


class Gauges(msgspec.Struct, frozen=True):
    """One look at an engine: sequences that run and wait, preemptions so far, the share of KV memory in use."""

    running: float
    waiting: float
    preemptions: float = 0.0
    kv_use: float = 0.0


def read_gauges(text: str) -> Gauges | None:
    """Return what Prometheus text says, or None when it does not count running and waiting requests.

    Several samples of one name (an engine with several cores behind one port) add up; of KV use the highest counts.
    """
    samples: dict[str, list[float]] = {}
    for name, value in _SAMPLE.findall(text):
        samples.setdefault(name, []).append(float(value))
    found = {
        gauge: next((samples[name] for name in names if name in samples), None)
        for gauge, names in _NAMES.items()
    }
    if found["running"] is None or found["waiting"] is None:
        return None
    return Gauges(
        sum(found["running"]),
        sum(found["waiting"]),
        sum(found["preemptions"] or ()),
        max(found["kv_use"] or (0.0,)),
    )
