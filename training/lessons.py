"""Training batches: a drawn picture or two, a question in one of its wordings, and the answer that is true."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from export import CLIP_MEAN, CLIP_STD
from lexicon import END, IMAGE, START
from network import TOKENS_PER_PICTURE
from pictures import scene_of
from tokenizers import Tokenizer

from pronk.demo.shapes import Question, ask

IGNORED = -100
SHARES = {
    (1, "json"): 24, (1, "category"): 24, (1, "category_rest"): 3, (1, "field"): 14, (1, "words"): 9, (1, "check"): 7, (1, "refusal"): 4,
    (2, "pair_json"): 5, (2, "pair_words"): 3, (2, "pair_field"): 4, (2, "pair_same"): 2,
    (0, "blind"): 2, (0, "refusal"): 2,
}  # fmt: skip
"""How often each form is asked, in per cent, keyed by the number of pictures and the form."""


@dataclass(frozen=True)
class Batch:
    """Token ids and labels [B, L], right-padded, and the pictures [P, 3, 96, 96] with their truth [P, 3]."""

    ids: torch.Tensor
    labels: torch.Tensor
    pictures: torch.Tensor
    truth: torch.Tensor


@dataclass(frozen=True)
class Lesson:
    """One conversation: the prompt's and the answer's token ids and the rows of its pictures."""

    prompt: list[int]
    answer: list[int]
    rows: list[int]


class Lessons:
    """Endless batches drawn from a pool of pictures, neighbours in length batched together to save padding."""

    def __init__(self, pictures: np.ndarray, truth: np.ndarray, tokenizer: Tokenizer, seed: int) -> None:
        """`pictures` uint8 [N, 96, 96, 3] and `truth` [N, 3] as `pictures.load` returns them."""
        self._pictures = torch.from_numpy(pictures).permute(0, 3, 1, 2)
        self._truth = torch.from_numpy(truth)
        self._scenes = [scene_of(row) for row in truth]
        self._tokenizer = tokenizer
        self._rng = Random(seed)
        self._mean = torch.tensor(CLIP_MEAN).view(1, 3, 1, 1)
        self._std = torch.tensor(CLIP_STD).view(1, 3, 1, 1)

    def looks(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures and truth alone, for the first phase."""
        return self._seen([self._rng.randrange(len(self._scenes)) for _ in range(size)])

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of `size` conversations, for the second phase."""
        while True:
            pool = sorted((self._lesson() for _ in range(size * 32)), key=lambda lesson: len(lesson.prompt))
            groups = [pool[start : start + size] for start in range(0, len(pool), size)]
            self._rng.shuffle(groups)
            for group in groups:
                yield self._batch(group)

    def _lesson(self) -> Lesson:
        count, form = self._rng.choices(tuple(SHARES), tuple(SHARES.values()))[0]
        rows = [self._rng.randrange(len(self._scenes)) for _ in range(count)]
        question = ask(self._rng, form, *(self._scenes[row] for row in rows))
        if form == "pair_same" and self._rng.random() < 0.4:
            rows[1] = self._alike(rows[0], question.fields[0])
        answer = question.answer(*(self._scenes[row] for row in rows))
        prompt = self._tokenizer.encode(prompt_of(question, self._rng.choice(("", "\n")))).ids
        return Lesson(prompt, self._tokenizer.encode(answer + END).ids, rows)

    def _alike(self, row: int, field: str) -> int:
        while True:
            other = self._rng.randrange(len(self._scenes))
            if getattr(self._scenes[other], field) == getattr(self._scenes[row], field):
                return other

    def _batch(self, lessons: list[Lesson]) -> Batch:
        length = max(len(lesson.prompt) + len(lesson.answer) for lesson in lessons)
        ids = torch.zeros(len(lessons), length, dtype=torch.long)
        labels = torch.full_like(ids, IGNORED)
        for k, lesson in enumerate(lessons):
            start, end = len(lesson.prompt), len(lesson.prompt) + len(lesson.answer)
            ids[k, :end] = torch.tensor(lesson.prompt + lesson.answer)
            labels[k, start - 1 : end - 1] = ids[k, start:end]
        pictures, truth = self._seen([row for lesson in lessons for row in lesson.rows])
        return Batch(ids, labels, pictures, truth)

    def _seen(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        pictures = self._pictures[rows].float().div(255).sub(self._mean).div(self._std)
        for k in range(len(rows)):
            if self._rng.random() < 0.5:
                pictures[k] = pictures[k].flip(2)
        return pictures, self._truth[rows]


def prompt_of(question: Question, gap: str = "") -> str:
    """The conversation up to the answer, as the engines write it: each picture is its tokens and a newline.

    `gap` stands between a text that comes first and the pictures behind it; clients differ there.
    """
    shown = (IMAGE * TOKENS_PER_PICTURE + "\n") * question.pictures
    content = question.text + gap + shown if question.text_first else shown + question.text
    system = f"{START}system\n{question.system}{END}\n" if question.system else ""
    return f"{system}{START}user\n{content}{END}\n{START}assistant\n"


def corpus(seed: int, count: int) -> Iterator[str]:
    """Questions and answers for the tokenizer to learn from."""
    rng = Random(seed)
    for _ in range(count):
        scenes = [
            scene_of(np.array([rng.randrange(5), rng.randrange(8), rng.randrange(4)])) for _ in range(2)
        ]
        pictures, form = rng.choices(tuple(SHARES), tuple(SHARES.values()))[0]
        question = ask(rng, form, *scenes[:pictures])
        yield question.text
        yield question.answer(*scenes[:pictures])
        yield question.system or ""
