"""The limiter against a modelled engine in virtual time, and its single rules."""

from __future__ import annotations

import msgspec
import pytest
from _pytest.mark import ParameterSet
from bench.simulator.drive import Fixed, Load, Run, Scene, best_fixed
from bench.simulator.model import EngineModel
from bench.simulator.scenes import CASES, HEAD, Case, judge

from pronk.engines.evidence import Evidence
from pronk.engines.gauges import Gauges
from pronk.engines.limiter import Limiter


def with_its_mark(case: Case) -> ParameterSet:
    marks = [pytest.mark.slow] if case.scene.seconds > 300 else []
    return pytest.param(case, marks=marks, id=case.scene.name)


@pytest.mark.parametrize("case", [with_its_mark(case) for case in CASES])
def test_share_of_the_best_fixed_limit(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    result = judge(case)
    with capsys.disabled():
        print(f"\n{HEAD}\n{result.row(case)}")  # noqa: T201
    assert result.share >= case.share
    assert result.longest < 3 * result.longest_at_best + 30


@pytest.mark.slow
def test_the_table_names_the_best_fixed_limit() -> None:
    scene = msgspec.structs.replace(CASES[0].scene, seconds=30.0, warm=5.0)
    _, best = best_fixed(scene, 256)
    assert Run(scene, [[Fixed(CASES[0].best)]]).go().work >= 0.995 * best.work


def test_a_fixed_limit_stays() -> None:
    limiter = Limiter(7)
    for second in range(100):
        limiter.finished(second + 0.5, limiter.started(second), 10.0)
        limiter.refused(second + 0.6)
        limiter.tick(second + 0.7)
    assert limiter.limit == 7


def drive(engine: EngineModel, seconds: float, limiter: Limiter) -> Run:
    scene = Scene(name="", engines=(engine,), load=Load(prompt=200, output=20), seconds=seconds, warm=0.0)
    return Run(scene, [[limiter]]).go()


def test_growth_is_credited_before_the_first_answer() -> None:
    limiter = Limiter()
    for tenth in range(100):
        while limiter.flying < limiter.limit:
            limiter.started(tenth / 10)
        limiter.tick(tenth / 10)
    assert limiter.limit == 64


def test_it_does_not_grow_on_work_that_is_not_there() -> None:
    limiter = Limiter()
    for tenth in range(600):
        limiter.finished(tenth + 0.05, limiter.started(tenth), 10.0)
        limiter.tick(tenth + 0.06)
    assert limiter.limit <= 32


def test_refusals_bring_it_down_once_a_latency() -> None:
    limiter = Limiter()
    drive(EngineModel(seats=64, step=0.004), 20.0, limiter)
    before = limiter.limit
    now = 1000.0
    limiter.refused(now)
    first = limiter.limit
    limiter.refused(now)
    assert first < before
    assert limiter.limit == first


def test_refusals_are_remembered_as_an_edge() -> None:
    limiter = Limiter()
    drive(EngineModel(seats=64, step=0.004), 20.0, limiter)
    flying = limiter.flying
    limiter.refused(1000.0)
    assert limiter.limit < flying
    limiter.refused(1100.0)
    assert limiter.limit >= 0.6 * flying


def test_a_queue_that_the_engine_shows_is_given_back() -> None:
    limiter = Limiter()
    drive(EngineModel(seats=64, step=0.004), 3.0, limiter)
    now = 3.0
    limiter.limit = 200
    while limiter.flying < 200:
        limiter.started(now)
    for _ in range(10):
        now += 1
        limiter.look(now, Gauges(64.0, 136.0))
    assert 64 <= limiter.limit <= 70


def test_a_queue_of_others_is_not() -> None:
    limiter = Limiter()
    drive(EngineModel(seats=64, step=0.004), 3.0, limiter)
    before = limiter.limit
    for second in range(10):
        limiter.look(4.0 + second, Gauges(64.0, 5000.0))
    assert limiter.limit == before


def test_answers_of_unlike_lengths_are_compared_fairly() -> None:
    short, long = Evidence(), Evidence()
    for number in range(64):
        for evidence, work in ((short, 50.0 + number % 7), (long, 400.0 + number % 50)):
            evidence.add(10.0, work, 2.0 + 0.01 * work)
    assert short.seen(200.0).speed == pytest.approx(50.0, rel=0.01)
    assert long.seen(200.0).speed == pytest.approx(50.0, rel=0.01)
    assert short.seen(200.0).error < 1e-6


def test_the_error_is_that_of_the_mean() -> None:
    evidence = Evidence()
    for number in range(800):
        evidence.add(10.0, 1.0, 1.0 + (0.1 if number % 16 < 8 else -0.1))
    assert evidence.seen(1.0).error == pytest.approx(0.01, rel=0.1)
