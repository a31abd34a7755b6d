"""What a worker's results add to the metrics, once for each journal part."""

from __future__ import annotations

from collections import Counter

from pronk.domain.shard import Progress
from pronk.journal import Part
from pronk.telemetry.metrics import LINES, PART_BYTES, PARTS_WRITTEN, TOKENS

_ANSWERED = LINES.labels("answered", "2xx")
_TOKENS = {kind: TOKENS.labels(kind) for kind in ("input", "cached", "output", "reasoning")}


def count_part(part: Part, gained: Progress) -> None:
    """Count a part that is durable now; `gained` are the sums over its lines."""
    PARTS_WRITTEN.inc()
    PART_BYTES.inc(part.size)
    _ANSWERED.inc(gained.completed)
    if gained.failed:
        for code, lines in Counter(mark.code for mark in part.marks if mark.code is not None).items():
            LINES.labels("failed", code).inc(lines)
    usage = gained.usage
    amounts = (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens)
    for child, amount in zip(_TOKENS.values(), amounts, strict=True):
        child.inc(amount)
