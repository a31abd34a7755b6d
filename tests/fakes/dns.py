"""Names for tests: steady, changing with every question, mixed, late or missing."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import anyio


@dataclass(slots=True)
class Names:
    """A resolver. Each name has a sequence of answers that its questions go round; `asked` counts them."""

    asked: Counter[str] = field(default_factory=Counter)
    silent: set[str] = field(default_factory=set)
    _answers: dict[str, Iterator[Sequence[str]]] = field(default_factory=dict)

    def add(self, name: str, *answers: Sequence[str]) -> None:
        """Let `name` have these answers, one after the other and round again; each is a list of addresses."""
        self._answers[name] = itertools.cycle([list(answer) for answer in answers])

    async def __call__(self, name: str, port: int = 0) -> list[str]:
        """Return the addresses of `name`, whatever the port. OSError where there are none; a silent one never returns."""
        del port
        self.asked[name] += 1
        if name in self.silent:
            await anyio.sleep_forever()
        answers = self._answers.get(name.rstrip(".").lower())
        if answers is None:
            raise OSError(f"no address for {name}")
        return list(next(answers))
