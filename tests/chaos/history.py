"""What went in must come out: lost, doubled, unexpected and sent again, counted as Jepsen's queue checker counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import msgspec


class History(msgspec.Struct):
    """Lines of one batch, as its result files and its engine tell of them."""

    expected: list[str]
    in_flight: int = 0
    """Lines that had been sent and were not durable, summed over all kills."""

    durable: set[str] = msgspec.field(default_factory=set)
    paid_twice: set[str] = msgspec.field(default_factory=set)
    _asked_then: Counter[str] = msgspec.field(default_factory=Counter)

    def kill(self, asked: Counter[str], journalled: AbstractSet[str]) -> None:
        """Note what was known when something was killed."""
        self.check(asked)
        self.durable |= journalled
        self.in_flight += len(set(asked) - self.durable)
        self._asked_then = Counter(asked)

    def check(self, asked: Counter[str]) -> None:
        """Note lines that were sent again though their answer was durable."""
        self.paid_twice |= {line for line in self.durable if asked[line] > self._asked_then[line]}

    def verdict(self, answered: Iterable[str], asked: Counter[str]) -> dict[str, object]:
        """Return what is wrong; nothing of it may be."""
        self.check(asked)
        found = list(answered)
        counts = Counter(found)
        again = asked.total() - len(asked)
        wrong = {
            "lost": sorted(set(self.expected) - set(counts)),
            "doubled": sorted(line for line, count in counts.items() if count > 1),
            "unexpected": sorted(set(counts) - set(self.expected)),
            "paid twice": sorted(self.paid_twice),
            "in another order": found != self.expected and sorted(found) == sorted(self.expected),
            "sent again beyond those in flight": max(0, again - self.in_flight),
        }
        return {what: which for what, which in wrong.items() if which}
