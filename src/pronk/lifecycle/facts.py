"""What was measured of every line of a batch, kept beside its result files when its journal goes.

One blob: on each line, for a shard, a JSON list of (line number, facts).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pronk.domain.ids import BatchId
from pronk.journal import Mark

_encode = msgspec.json.Encoder().encode


def facts_blob(batch_id: BatchId) -> str:
    """Return where the facts of a batch lie."""
    return f"facts/{batch_id}.jsonl"


def batch_of(blob: str) -> str:
    """Return the id of the batch whose facts lie there."""
    return blob.rpartition("/")[2].removesuffix(".jsonl")


def encode_facts(marks: Sequence[Mark]) -> bytes:
    """Return the facts of a shard as one line."""
    return _encode([(mark.line, mark.facts) for mark in marks]) + b"\n"
