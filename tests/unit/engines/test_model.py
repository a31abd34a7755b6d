"""The modelled engine: its sums are right, and it has the shapes that real engines have."""

from __future__ import annotations

import random

import msgspec
import pytest
from bench.simulator.drive import Fixed, Load, Run, Scene
from bench.simulator.model import Engine, EngineModel, Sequence

EXACT = EngineModel(
    seats=2, kv_tokens=1000, step=1.0, per_sequence=0.0, per_prefill_token=0.0, noise=0.0, watermark=0.0
)


def run_out(engine: Engine) -> list[tuple[float, Sequence]]:
    ended = []
    while engine.running or engine.waiting:
        at = engine.next_event
        ended += [(at, sequence) for sequence in engine.advance()]
    return ended


def test_a_request_takes_one_prefill_step_and_one_for_each_token() -> None:
    engine = Engine(EXACT, random.Random(1))
    engine.submit(Sequence(10, 5), 0.0)
    assert [at for at, _ in run_out(engine)] == [6.0]
    assert (engine.memory, engine.generated) == (0, 5)


def test_seats_bound_what_runs_and_the_rest_waits_in_order() -> None:
    engine = Engine(EXACT, random.Random(1))
    for number in range(4):
        engine.submit(Sequence(10, 5, number), 0.0)
    ended = run_out(engine)
    assert [sequence.tag for _, sequence in ended] == [0, 1, 2, 3]
    assert ended[-1][0] <= 14.0


def test_memory_that_runs_out_preempts_the_newest_and_it_still_ends() -> None:
    engine = Engine(msgspec.structs.replace(EXACT, seats=8, kv_tokens=100), random.Random(1))
    for number in range(8):
        engine.submit(Sequence(10, 40, number), 0.0)
    ended = run_out(engine)
    assert sorted(sequence.tag for _, sequence in ended) == list(range(8))
    assert ended[0][1].tag == 0
    assert engine.preemptions > 0
    assert engine.memory == 0
    assert engine.generated == 8 * 40


def test_a_cancelled_request_leaves_nothing_behind() -> None:
    engine = Engine(EXACT, random.Random(1))
    sequences = [Sequence(10, 50, number) for number in range(4)]
    for sequence in sequences:
        engine.submit(sequence, 0.0)
    for _ in range(3):
        engine.advance()
    engine.cancel(sequences[0])
    engine.cancel(sequences[3])
    assert sorted(sequence.tag for _, sequence in run_out(engine)) == [1, 2]
    assert engine.memory == 0


@pytest.mark.parametrize(
    ("engine", "load", "limits", "shape"),
    [
        (EngineModel(seats=64, step=0.004), Load(prompt=200, output=20), (16, 64, 256), "plateau"),
        (
            EngineModel(seats=1024, kv_tokens=120_000, step=0.02, per_prefill_token=0.0002, watermark=0.0),
            Load(prompt=50, output=1000, output_spread=0.2),
            (64, 170, 300),
            "cliff",
        ),
    ],
)
def test_throughput_over_the_limit(
    engine: EngineModel, load: Load, limits: tuple[int, int, int], shape: str
) -> None:
    scene = Scene(name=shape, engines=(engine,), load=load, seconds=240.0, warm=60.0)
    low, knee, high = (Run(scene, [[Fixed(limit)]]).go().work for limit in limits)
    assert low < 0.7 * knee
    assert (high > 0.97 * knee) if shape == "plateau" else (high < 0.7 * knee)
