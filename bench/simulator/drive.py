"""Clients of modelled engines in virtual time: as many requests in flight as a limiter says, without end."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from collections.abc import Sequence as Many
from typing import Any, Protocol

import msgspec
from bench.simulator.model import Engine, EngineModel, Sequence

from pronk.engines.gauges import Gauges
from pronk.engines.limiter import Limiter

TICK = 0.1


class Law(Protocol):
    """What is driven: a limiter of one replica, as one worker sees it."""

    limit: int

    def started(self, now: float) -> Any: ...
    def finished(self, now: float, mark: Any, work: float) -> None: ...
    def tick(self, now: float) -> object: ...


class Fixed:
    """The law that the others are compared with."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def started(self, now: float) -> float:
        return now

    def finished(self, now: float, mark: object, work: float) -> None:
        pass

    def tick(self, now: float) -> None:
        pass


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Lengths of prompts and answers in tokens; spreads are those of a log-normal distribution."""

    prompt: int = 500
    prompt_spread: float = 0.3
    output: int = 200
    output_spread: float = 0.5

    def draw(self, chance: random.Random) -> Sequence:
        """Return a request; means are as stated."""
        return Sequence(
            _drawn(chance, self.prompt, self.prompt_spread), _drawn(chance, self.output, self.output_spread)
        )


def _drawn(chance: random.Random, mean: int, spread: float) -> int:
    return max(1, round(mean * math.exp(chance.gauss(-spread * spread / 2, spread))))


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """An engine or several, a load, and what happens on the way: (second, change) pairs in order of time."""

    name: str
    engines: tuple[EngineModel, ...] = (EngineModel(),)
    load: Load = Load()
    seconds: float = 600.0
    warm: float = 30.0
    has_metrics: bool = False
    workers: int = 1
    background: int = 0
    events: tuple[tuple[float, Callable[[Run], None]], ...] = ()


class Run:
    """One simulation. Work is output tokens; `work` counts it from `scene.warm` on."""

    def __init__(self, scene: Scene, laws: Many[Many[Law]], seed: int = 1) -> None:
        self.scene = scene
        self.load = scene.load
        self.laws = laws
        self.chance = random.Random(seed)
        self.engines = [Engine(model, random.Random(seed + 7 * i)) for i, model in enumerate(scene.engines)]
        self.flying = [[0] * len(self.engines) for _ in laws]
        self.work = 0.0
        self.early_work = 0.0
        self.answers = 0
        self.longest = 0.0
        self.series: list[tuple[float, float]] = []
        self.now = 0.0

    def go(self) -> Run:
        """Run to the end."""
        events = list(self.scene.events)
        for _ in range(self.scene.background):
            self._background(self.chance.randrange(len(self.engines)))
        next_tick = 0.0
        while self.now < self.scene.seconds:
            engine = min(self.engines, key=lambda e: e.next_event)
            if engine.next_event < next_tick:
                self.now = engine.next_event
                for sequence in engine.advance():
                    self._ended(sequence)
                continue
            self.now = next_tick
            while events and events[0][0] <= self.now:
                events.pop(0)[1](self)
            self._tick()
            next_tick = self.now + TICK
        return self

    def _tick(self) -> None:
        for worker, laws in enumerate(self.laws):
            for number, law in enumerate(laws):
                if self.scene.has_metrics and isinstance(law, Limiter) and round(self.now / TICK) % 10 == 0:
                    law.look(self.now, gauges_of(self.engines[number]))
                law.tick(self.now)
                self._fill(worker, number)
        self.series.append((self.now, self.work + self.early_work))

    def _fill(self, worker: int, number: int) -> None:
        law = self.laws[worker][number]
        while self.flying[worker][number] < law.limit:
            self.flying[worker][number] += 1
            sequence = self.load.draw(self.chance)
            sequence.tag = (worker, number, law.started(self.now))
            self.engines[number].submit(sequence, self.now)

    def _background(self, number: int) -> None:
        sequence = self.load.draw(self.chance)
        sequence.tag = (-1, number, 0.0)
        self.engines[number].submit(sequence, self.now)

    def _ended(self, sequence: Sequence) -> None:
        worker, number, mark = sequence.tag
        if worker < 0:
            self._background(number)
            return
        self.flying[worker][number] -= 1
        self.laws[worker][number].finished(self.now, mark, float(sequence.output))
        if self.now >= self.scene.warm:
            self.work += sequence.output
            self.answers += 1
            self.longest = max(self.longest, self.now - sequence.arrived)
        else:
            self.early_work += sequence.output
        self._fill(worker, number)


def gauges_of(engine: Engine) -> Gauges:
    """Return what a real engine would say of itself."""
    return Gauges(len(engine.running), len(engine.waiting), engine.preemptions, engine.kv_use)


def best_fixed(scene: Scene, most: int = 2048) -> tuple[int, Run]:
    """Return the fixed limit for each replica and worker with the most work, and its run; a search on a log scale."""
    share = max(1, most // scene.workers)
    grid = sorted({round(share / 1.3**i) for i in range(28) if share / 1.3**i >= 1})
    runs = {limit: _fixed(scene, limit) for limit in grid}
    for _ in range(2):
        best = max(runs, key=lambda limit: runs[limit].work)
        tried = sorted(runs)
        at = tried.index(best)
        for low, high in zip(tried[max(0, at - 1) : at + 1], tried[at : at + 2], strict=False):
            for share_of in (0.25, 0.5, 0.75):
                limit = round(low * (high / low) ** share_of)
                if limit not in runs:
                    runs[limit] = _fixed(scene, limit)
    best = max(runs, key=lambda limit: runs[limit].work)
    good = min(limit for limit in runs if runs[limit].work >= 0.997 * runs[best].work)
    return good, runs[best]


def _fixed(scene: Scene, limit: int) -> Run:
    return Run(scene, [[Fixed(limit) for _ in scene.engines] for _ in range(scene.workers)]).go()
