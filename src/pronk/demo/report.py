"""What came of the batch: answers beside their pictures, the score, the error file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pronk.demo.tasks import Task

EXAMPLES_PER_KIND: Final = 2
RIGHT_AT_LEAST: Final = 0.9
_SHOWN_CHARACTERS: Final = 90


@dataclass(frozen=True)
class Outcome:
    """Answers and errors by custom_id, beside the tasks."""

    tasks: Mapping[str, Task]
    answers: Mapping[str, str]
    errors: Mapping[str, Mapping[str, Any]]

    @property
    def right(self) -> list[Task]:
        """Tasks that were answered with what their pictures show."""
        return [task for task in self._answerable if task.is_right(self.answers.get(task.custom_id, ""))]

    @property
    def _answerable(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.expected_code is None]

    def unexpected(self) -> list[str]:
        """Return what should not have happened, in words."""
        wrong = [
            f"{name} failed with {self.errors[name]['code']}, not {task.expected_code or 'answered'}"
            for name, task in self.tasks.items()
            if name in self.errors and self.errors[name]["code"] != task.expected_code
        ]
        lost = self.tasks.keys() - self.answers.keys() - self.errors.keys()
        wrong += [f"{name} has no result" for name in sorted(lost)]
        share = len(self.right) / len(self._answerable)
        return wrong + ([f"only {share:.0%} of the answers are right"] if share < RIGHT_AT_LEAST else [])

    def score_lines(self) -> list[str]:
        """Return the score in all and by kind."""
        asked, right = (
            Counter(task.kind for task in self._answerable),
            Counter(task.kind for task in self.right),
        )
        lines = [
            f"{kind:<13}{right[kind]:>4} of {count:<4} right {right[kind] / count:>7.1%}"
            for kind, count in asked.items()
        ]
        total, good = asked.total(), right.total()
        return [*lines, f"{'all':<13}{good:>4} of {total:<4} right {good / total:>7.1%}"]

    def example_lines(self) -> list[str]:
        """Return some answers of each kind beside their pictures."""
        answered = [task for name, task in self.tasks.items() if name in self.answers]
        kinds = dict.fromkeys(task.kind for task in answered)
        shown = ([task for task in answered if task.kind == kind][:EXAMPLES_PER_KIND] for kind in kinds)
        return [line for tasks in shown for task in tasks for line in self._example(task)]

    def _example(self, task: Task) -> list[str]:
        answer = self.answers[task.custom_id]
        drawn = " and ".join(map(str, task.scenes))
        verdict = "right" if task.is_right(answer) else f"wrong: drawn was {drawn}"
        return [
            *task.references,
            f"    asked     {_short(task.question.text)}",
            f"    answered  {_short(answer)}   [{verdict}]",
        ]

    def error_lines(self) -> list[str]:
        """Return the error file's lines: which request, its code, and the message."""
        return [
            f"{name:<17}{error['code']:<17}{error['message']}" for name, error in sorted(self.errors.items())
        ]


def read_outcome(tasks: Sequence[Task], output: Path | None, errors: Path | None) -> Outcome:
    """Read the result files, None where the batch has none."""
    answers = {line["custom_id"]: _answer(line) for line in _lines(output)}
    failed = {line["custom_id"]: _error(line) for line in _lines(errors)}
    return Outcome({task.custom_id: task for task in tasks}, answers, failed)


def _lines(path: Path | None) -> Iterable[dict[str, Any]]:
    if path is None:
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _answer(line: Mapping[str, Any]) -> str:
    return str(line["response"]["body"]["choices"][0]["message"]["content"])


def _error(line: Mapping[str, Any]) -> Mapping[str, Any]:
    if line["error"] is not None:
        return dict(line["error"])
    error = line["response"]["body"].get("error", {})
    return {"code": f"status {line['response']['status_code']}", "message": error.get("message", "")}


def _short(text: str) -> str:
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
