"""The demo's requests: what is asked about which pictures, and what would be right."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from pronk.demo.buckets import CUT_KEY, EMPTY_KEY, MISSING_BUCKET, MISSING_KEY, TEXT_KEY, Stored
from pronk.demo.shapes import CATEGORY_QUESTION, JSON_QUESTION, Question, Scene, ask, score

BROKEN: Final = {
    "missing-key": (f"s3://shapes/{MISSING_KEY}", "image_not_found"),
    "missing-bucket": (f"s3://{MISSING_BUCKET}/a.png", "image_not_found"),
    "text-called-png": (f"s3://shapes/{TEXT_KEY}", "image_invalid"),
    "cut-jpeg": (f"s3://shapes/{CUT_KEY}", "image_invalid"),
    "empty-object": (f"s3://shapes/{EMPTY_KEY}", "image_invalid"),
}
_SINGLE: Final = ("words", "field")
_PAIR: Final = ("pair_json", "pair_words")
"""What the small model was trained well for; its card says where it is weak."""


@dataclass(frozen=True)
class Task:
    """One request. `scenes` are what its pictures show; a broken one has the code that it must fail with instead."""

    custom_id: str
    kind: str
    references: tuple[str, ...]
    question: Question
    scenes: tuple[Scene, ...] = ()
    expected_code: str | None = None

    def line(self, model: str) -> str:
        """Return the request as one line of the input file."""
        body = {"model": model, "messages": self._messages(), "temperature": 0, "max_tokens": 96}
        request = {"custom_id": self.custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
        return json.dumps(request, ensure_ascii=False)

    def is_right(self, answer: str) -> bool:
        """Whether this is what the pictures show."""
        return score(answer, self.scenes, self.question)

    def _messages(self) -> list[dict[str, Any]]:
        pictures: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": url}} for url in self.references
        ]
        text = {"type": "text", "text": self.question.text}
        system = [{"role": "system", "content": self.question.system}] if self.question.system else []
        content = [text, *pictures] if self.question.text_first else [*pictures, text]
        return [*system, {"role": "user", "content": content}]


def make_tasks(stored: Mapping[str, Sequence[Stored]], rng: Random) -> list[Task]:
    """Return some 240 tasks in a mixed order."""
    here, there = stored["shapes"], stored["shapes-eu"]
    every = [*here, *there]
    tasks = [
        *_asked("category", here[:90], lambda _: CATEGORY_QUESTION),
        *_asked("JSON", there[:50], lambda _: JSON_QUESTION),
        *_asked("words", every[-60:], lambda one: ask(rng, rng.choice(_SINGLE), one.scene)),
        *_pairs(here[90:], there[:40], rng),
        *_broken(),
    ]
    rng.shuffle(tasks)
    return tasks


def _asked(kind: str, stored: Sequence[Stored], question: Any) -> Iterator[Task]:
    for number, one in enumerate(stored):
        yield Task(f"{kind.lower()}-{number:03d}", kind, (one.reference,), question(one), (one.scene,))


def _pairs(first: Sequence[Stored], second: Sequence[Stored], rng: Random) -> Iterator[Task]:
    for number, (left, right) in enumerate(zip(first, second, strict=True)):
        question = ask(rng, rng.choice(_PAIR), left.scene, right.scene)
        references = (left.reference, right.reference)
        yield Task(f"pair-{number:03d}", "two pictures", references, question, (left.scene, right.scene))


def _broken() -> Iterator[Task]:
    for name, (reference, code) in BROKEN.items():
        yield Task(name, "broken", (reference,), CATEGORY_QUESTION, expected_code=code)
