"""Set-ups to judge a limiter on, and what it reaches of the best fixed limit: ``python -m bench.simulator.scenes``.

`best` is the least fixed limit for each replica and worker that is within 0.3 % of the best one that `best_fixed` finds.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator

import msgspec
from bench.simulator.drive import Fixed, Load, Run, Scene, best_fixed
from bench.simulator.model import EngineModel

from pronk.engines.limiter import Limiter


class Case(msgspec.Struct, frozen=True):
    """A scene, its best fixed limit, and the share of that limit's throughput that a limiter must reach."""

    scene: Scene
    best: int
    share: float = 0.98


def _pause(run: Run) -> None:
    for engine in run.engines:
        engine.pause(run.now + 3.0)


def _speed(factor: float) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        for engine in run.engines:
            engine.speed = factor

    return change


def _load(load: Load) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        run.load = load

    return change


_SHORT = Load(prompt=200, output=20)
_MIDDLE = Load(prompt=500, output=100)
_LONG = Load(prompt=500, output=800)
_SMALL_MEMORY = EngineModel(seats=1024, kv_tokens=60_000, step=0.02, per_prefill_token=0.0001)
_GROWING = Load(prompt=100, output=500)
_STEEP = EngineModel(seats=1024, kv_tokens=120_000, step=0.02, per_prefill_token=0.0002, watermark=0.0)
_ALIKE = Load(prompt=50, output=1000, output_spread=0.2)

_BLIND = (
    Case(
        Scene(
            name="64 seats, 0.4 s",
            engines=(EngineModel(seats=64, step=0.004),),
            load=_SHORT,
            seconds=150,
            warm=30,
        ),
        68,
    ),
    Case(
        Scene(
            name="256 seats, 6 s",
            engines=(EngineModel(seats=256),),
            load=Load(prompt=500, output=200),
            seconds=600,
            warm=60,
        ),
        268,
    ),
    Case(
        Scene(
            name="embeddings, 0.1 s",
            engines=(EngineModel(seats=512, step=0.004, per_prefill_token=0.000005, chunk=16384),),
            load=Load(prompt=300, output=1, output_spread=0.0),
            seconds=150,
            warm=30,
        ),
        151,
    ),
    Case(
        Scene(
            name="4 seats",
            engines=(EngineModel(seats=4, step=0.03),),
            load=Load(prompt=300, output=60),
            seconds=900,
            warm=60,
        ),
        5,
    ),
    Case(
        Scene(
            name="128 seats, 20 s",
            engines=(EngineModel(seats=128, step=0.02),),
            load=_LONG,
            seconds=3600,
            warm=150,
        ),
        130,
    ),
    Case(
        Scene(name="memory, soft edge", engines=(_SMALL_MEMORY,), load=_GROWING, seconds=3600, warm=150),
        134,
    ),
    Case(Scene(name="memory, cliff", engines=(_STEEP,), load=_ALIKE, seconds=3600, warm=150), 190),
    Case(
        Scene(
            name="two unlike replicas",
            engines=(EngineModel(seats=128), EngineModel(seats=64, step=0.03)),
            load=_MIDDLE,
            seconds=600,
            warm=60,
        ),
        149,
    ),
    Case(
        Scene(
            name="noise and pauses",
            engines=(EngineModel(seats=128, noise=0.3),),
            load=Load(prompt=500, output=100, output_spread=1.0),
            seconds=900,
            warm=60,
            events=tuple((at, _pause) for at in range(100, 900, 150)),
        ),
        130,
    ),
    Case(
        Scene(
            name="slower halfway",
            engines=(EngineModel(seats=128),),
            load=_MIDDLE,
            seconds=900,
            warm=60,
            events=((450, _speed(0.4)),),
        ),
        130,
    ),
    Case(
        Scene(
            name="longer answers halfway",
            engines=(_SMALL_MEMORY,),
            load=Load(prompt=100, output=250),
            seconds=3600,
            warm=150,
            events=((1800, _load(_GROWING)),),
        ),
        251,
    ),
    Case(
        Scene(
            name="two workers",
            engines=(EngineModel(seats=128),),
            load=_MIDDLE,
            seconds=600,
            warm=60,
            workers=2,
        ),
        65,
    ),
    Case(
        Scene(
            name="two workers, soft edge",
            engines=(_SMALL_MEMORY,),
            load=_GROWING,
            seconds=1800,
            warm=150,
            workers=2,
        ),
        67,
    ),
)


def _seeing(case: Case) -> Case:
    scene = msgspec.structs.replace(case.scene, name=f"{case.scene.name}, metrics", has_metrics=True)
    return msgspec.structs.replace(case, scene=scene)


CASES = (*_BLIND, *(_seeing(case) for case in _BLIND))


class Result(msgspec.Struct, frozen=True):
    """What a limiter reached; `warm_seconds` is when the throughput over ten seconds first was 95 % of the best."""

    share: float
    warm_seconds: float
    limits: list[list[int]]
    longest: float
    longest_at_best: float
    preemptions: int

    def row(self, case: Case) -> str:
        """Return a line of the table."""
        return (
            f"{case.scene.name:34} {case.best:5} {100 * self.share:7.1f} {self.warm_seconds:7.0f} "
            f"{self.longest:8.1f} {self.longest_at_best:8.1f} {self.preemptions:8}  {self.limits}"
        )


HEAD = (
    "set-up                              best  share %  warm s   longest  at best  preempt  limits at the end"
)


def judge(case: Case, seed: int = 1) -> Result:
    """Run the limiter and the best fixed limit on one case."""
    scene = case.scene
    fixed = Run(scene, [[Fixed(case.best) for _ in scene.engines] for _ in range(scene.workers)], seed).go()
    chance = random.Random(seed)
    laws = [
        [Limiter(workers=scene.workers, chance=random.Random(chance.random())) for _ in scene.engines]
        for _ in range(scene.workers)
    ]
    run = Run(scene, laws, seed).go()
    rate = fixed.work / (scene.seconds - scene.warm)
    return Result(
        run.work / fixed.work,
        next((at for at, reached in _rates(run) if reached >= 0.95 * rate), float("inf")),
        [[law.limit for law in worker] for worker in laws],
        run.longest,
        fixed.longest,
        sum(engine.preemptions for engine in run.engines),
    )


def _rates(run: Run) -> Iterator[tuple[float, float]]:
    for (began, before), (ended, after) in zip(run.series, run.series[100:], strict=False):
        yield began, (after - before) / (ended - began)


def main() -> None:
    """Print the table; with ``--search`` look for the best fixed limits anew."""
    print(HEAD)
    for case in CASES:
        if "--search" in sys.argv:
            print(case.scene.name, best_fixed(case.scene)[0], flush=True)
        else:
            print(judge(case).row(case), flush=True)


if __name__ == "__main__":
    main()
