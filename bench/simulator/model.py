"""A continuous-batching engine as a discrete-event model: pure, seeded, a few microseconds for each request.

A step decodes one token for every running sequence and prefills up to `chunk` prompt tokens; it lasts::

    (step + per_sequence · running + per_kv_token · tokens in memory + per_prefill_token · prefilled) / speed · noise

Sequences start in the order of arrival while there are seats and KV memory for their prompts. When the memory has no
room for the next step, the sequence that started last is preempted: it loses its memory, waits in front, and is
prefilled again with all that it had generated. The queue never refuses.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from typing import Any

import msgspec

_MOST_STEPS = 64
"""Steps taken in one go; the memory grows within them, so longer strides would hide its cost."""


class EngineModel(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of an engine. Times are seconds, memory is tokens."""

    seats: int = 256
    kv_tokens: int = 10_000_000
    step: float = 0.012
    per_sequence: float = 0.00005
    per_kv_token: float = 0.0
    per_prefill_token: float = 0.00001
    chunk: int = 4096
    watermark: float = 0.01
    noise: float = 0.02


class Sequence(msgspec.Struct, eq=False):
    """A request in the engine; `tag` is the caller's own."""

    prompt: int
    output: int
    tag: Any = None
    arrived: float = 0.0
    generated: int = 0
    to_prefill: int = 0
    ends_at_step: int = 0
    turn: int = 0


class Engine:
    """One replica. `submit`, then call `advance` whenever the time of `next_event` has come."""

    def __init__(self, model: EngineModel, chance: random.Random) -> None:
        self.model = model
        self.speed = 1.0
        self.preemptions = 0
        self.generated = 0
        self.waiting: deque[Sequence] = deque()
        self.running: dict[Sequence, None] = {}
        self.memory = 0
        self._chance = chance
        self._prefilling: deque[Sequence] = deque()
        self._steps = 0
        self._endings: list[tuple[int, int, Sequence]] = []
        self._turns = 0
        self._began = 0.0
        self._stride = 0
        self._step_seconds = 0.0
        self._paused_until = 0.0

    @property
    def next_event(self) -> float:
        """When something may happen; infinite while the engine is idle."""
        if not self._stride:
            return math.inf
        return self._began + self._stride * self._step_seconds

    @property
    def kv_use(self) -> float:
        """The share of the KV memory in use."""
        return self.memory / self.model.kv_tokens

    def submit(self, sequence: Sequence, now: float) -> None:
        """Queue a request; it may start at the end of the step that runs."""
        sequence.arrived = now
        self.waiting.append(sequence)
        if not self._stride:
            self._plan(now)
        elif len(self.waiting) == 1:
            done = max(1, math.ceil((now - self._began) / self._step_seconds))
            self._stride = min(self._stride, done)

    def pause(self, until: float) -> None:
        """Stand still: no stride planned from now on ends before `until`."""
        self._paused_until = until

    def cancel(self, sequence: Sequence) -> None:
        """Forget a request whose client went away."""
        if sequence in self.running:
            self._leave(sequence)
            if sequence in self._prefilling:
                self._prefilling.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)

    def advance(self) -> list[Sequence]:
        """Do the steps up to `next_event` and return the sequences that ended there."""
        now = self.next_event
        decoding = len(self.running) - len(self._prefilling)
        self.memory += decoding * self._stride
        self.generated += decoding * self._stride
        self._steps += self._stride
        ended = []
        self._prefill()
        while self._endings and self._endings[0][0] <= self._steps:
            _, turn, sequence = heapq.heappop(self._endings)
            if sequence in self.running and sequence.turn == turn:
                self._leave(sequence)
                ended.append(sequence)
        self._plan(now)
        return ended

    def _leave(self, sequence: Sequence) -> None:
        del self.running[sequence]
        self.memory -= sequence.prompt + self._generated(sequence) - sequence.to_prefill

    def _generated(self, sequence: Sequence) -> int:
        if sequence.to_prefill:
            return sequence.generated
        return sequence.output - (sequence.ends_at_step - self._steps)

    def _prefill(self) -> None:
        """Account for the prompts of the stride that just ended: whole chunks, one for each step."""
        budget = self.model.chunk * self._stride
        while self._prefilling and budget > 0:
            sequence = self._prefilling[0]
            part = min(budget, sequence.to_prefill)
            budget -= part
            sequence.to_prefill -= part
            self.memory += part
            if not sequence.to_prefill:
                self._prefilling.popleft()
                sequence.ends_at_step = self._steps + sequence.output - sequence.generated
                heapq.heappush(self._endings, (sequence.ends_at_step, sequence.turn, sequence))

    def _plan(self, now: float) -> None:
        self._preempt()
        self._admit()
        self._began, self._stride = now, 0
        if not self.running:
            return
        prefill = min(self.model.chunk, sum(sequence.to_prefill for sequence in self._prefilling))
        self._stride = 1 if prefill else self._free_stride()
        model, running = self.model, len(self.running)
        seconds = model.step + model.per_sequence * running + model.per_kv_token * self.memory
        seconds += model.per_prefill_token * prefill
        noise = math.exp(self._chance.gauss(0.0, model.noise)) if model.noise else 1.0
        self._step_seconds = seconds / self.speed * noise
        if now < self._paused_until:
            self._step_seconds += self._paused_until - now
            self._stride = 1

    def _free_stride(self) -> int:
        """Return how many steps nothing can happen in."""
        while self._endings and self._is_stale(self._endings[0]):
            heapq.heappop(self._endings)
        until_end = self._endings[0][0] - self._steps
        room = (self.model.kv_tokens - self.memory) // len(self.running)
        return max(1, min(_MOST_STEPS, until_end, room))

    def _is_stale(self, ending: tuple[int, int, Sequence]) -> bool:
        return ending[2] not in self.running or ending[2].turn != ending[1]

    def _preempt(self) -> None:
        while len(self.running) > 1 and self.memory + len(self.running) > self.model.kv_tokens:
            victim = next(reversed(self.running))
            generated = self._generated(victim)
            self._leave(victim)
            if victim.to_prefill:
                self._prefilling.remove(victim)
            victim.generated = generated
            self.waiting.appendleft(victim)
            self.preemptions += 1

    def _admit(self) -> None:
        reserved = self.memory + sum(sequence.to_prefill for sequence in self._prefilling)
        limit = self.model.kv_tokens * (1 - self.model.watermark)
        while self.waiting and len(self.running) < self.model.seats:
            sequence = self.waiting[0]
            need = sequence.prompt + sequence.generated
            if self.running and reserved + need > limit:
                break
            self.waiting.popleft()
            reserved += need
            self._turns += 1
            sequence.turn, sequence.to_prefill = self._turns, max(1, need)
            self.running[sequence] = None
            self._prefilling.append(sequence)
