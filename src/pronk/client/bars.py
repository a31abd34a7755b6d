"""Progress of a batch on a bar of the caller's: tqdm, or whatever has its `total`, `n` and `update`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Bar(Protocol):
    """What is used of a bar of tqdm."""

    total: Any
    n: Any

    def update(self, n: Any, /) -> object:
        """Go on by so many."""


Progress = Bar | Callable[[dict[str, Any]], object]


def tell(progress: Progress, batch: dict[str, Any]) -> None:
    """Show where a batch stands."""
    if not isinstance(progress, Bar):
        progress(batch)
        return
    counts = batch["request_counts"]
    progress.total = counts["total"] or None
    progress.update(counts["completed"] + counts["failed"] - progress.n)
