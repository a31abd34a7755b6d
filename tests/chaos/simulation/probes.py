"""Rare paths that simulations must have been on: a probe that is never hit shows what they do not test."""

from __future__ import annotations

from collections import Counter


class Probes:
    """How often each probe was hit, over all seeds of a run."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()

    def hit(self, name: str) -> None:
        """Note that somebody was here."""
        self.hits[name] += 1

    def never(self) -> list[str]:
        """Return the probes that nobody has hit."""
        return [name for name in WANTED if not self.hits[name]]


WANTED = (
    # what befell
    *(
        "fault: kill",
        "fault: stop",
        "fault: cut off",
        "fault: drain",
        "fault: database",
        "fault: storage",
        "fault: engine",
    ),
    *(
        "fault: rot",
        "fault: cancel",
        "fault: lose",
        "log: input_lost",
        "stop_batch",
        "death was seen, shards freed",
        "waited for an engine",
    ),
    *("engine said away", "engine said 500", "engine said 429"),
    *("database write away", "storage put away", "storage names away"),
    *(
        "answer of database write lost",
        "answer of database read lost",
        "answer of storage put lost",
        "answer of storage get lost",
    ),
    # what came of it
    *(
        "a line was sent again",
        "a line is in two parts",
        "a part came after its batch's end",
        "find_ticket",
        "disown_shard",
        "reclaim_shard",
        "reclaim_of_worker",
    ),
    *(
        "reclaim_duty_of_worker",
        "release_shard",
        "release_duty",
        "reopen_batch",
        "expire_batch",
        "mark_urgent",
    ),
    *(
        "finish_shard: none",
        "report_progress: none",
        "renew_duty: none",
        "release_duty: none",
        "end_batch: none",
    ),
    *("log: claim_lost", "log: part_damaged", "log: answers_lost", "log: draining"),
    # how it ended
    *("ended: completed", "ended: cancelled", "ended: expired", "ended: failed"),
    *("line failed: answered", "line failed: batch_cancelled", "line failed: batch_expired"),
)
