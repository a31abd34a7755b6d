"""Budget, single flights, lanes and second tries: who waits for whom, and that nothing stays taken."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from pronk.media.budget import Budget, Lease
from pronk.media.fetched import FetchError, TransientError
from pronk.media.flight import Flights
from pronk.media.hedge import Hedge
from pronk.media.lanes import Lanes

pytestmark = pytest.mark.anyio


async def settle() -> None:
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def test_the_budget_serves_in_order_and_lets_the_large_pass_alone() -> None:
    budget, order = Budget(100), []
    first = await budget.take(lambda _: 60)

    async def take(name: str, amount: int) -> None:
        lease = await budget.take(lambda _: amount)
        order.append((name, budget.used))
        lease.close()

    async with anyio.create_task_group() as group:
        group.start_soon(take, "huge", 500)
        await settle()
        group.start_soon(take, "small", 10)
        await settle()
        assert order == []
        first.close()
        first.close()
    assert order == [("huge", 500), ("small", 10)]
    assert budget.used == 0


async def test_a_lease_grows_only_into_free_room_or_when_it_is_alone() -> None:
    budget = Budget(100)
    one, two = await budget.take(lambda _: 40), await budget.take(lambda _: 40)
    assert one.grow_to(60)
    assert not two.grow_to(41)
    assert (one.held, two.held, budget.used) == (60, 40, 100)
    one.close()
    assert two.grow_to(1000)
    two.shrink_to(5)
    assert budget.used == 5
    two.close()
    assert budget.used == 0


async def test_who_waits_asks_for_what_is_expected_now_and_not_when_nothing_was_known() -> None:
    budget, going = Budget(1_000_000), 0

    async def take() -> None:
        nonlocal going
        await budget.take(lambda guess: guess)
        going += 1

    first = await budget.take(lambda guess: guess)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(take)
        await settle()
        assert going == 0
        for _ in range(40):
            budget.learn(50_000)
        first.close()
        await settle()
        assert going == 20


async def test_a_cancelled_wait_takes_nothing() -> None:
    budget = Budget(10)
    lease, got = await budget.take(lambda _: 10), []

    async def take() -> None:
        got.append(await budget.take(lambda _: 5))

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await budget.take(lambda _: 10)
        group.start_soon(take)
        await settle()
        lease.close()
    assert budget.used == 5
    assert isinstance(got[0], Lease)


async def test_one_flight_for_all_and_a_failure_for_all() -> None:
    flights: Flights[str, int] = Flights()
    calls: list[int] = []
    gate, answers = anyio.Event(), list[object]()

    async def make() -> int:
        calls.append(1)
        await gate.wait()
        if len(calls) == 2:
            raise FetchError("not_found", "is gone")
        return 7

    async def ask() -> None:
        try:
            answers.append(await flights.run("k", make))
        except FetchError as error:
            answers.append(error.ending)

    for expected in ([(7, True), (7, False), (7, False)], ["not_found"] * 3):
        answers.clear()
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask)
            await settle()
            gate.set()
        assert answers == expected
    assert len(calls) == 2


async def test_others_do_not_suffer_from_the_first_ones_cancellation() -> None:
    flights: Flights[str, int] = Flights()
    calls, gate, answers, scope = [], anyio.Event(), [], anyio.CancelScope()

    async def make() -> int:
        calls.append(1)
        await gate.wait()
        return len(calls)

    async def first() -> None:
        with scope:
            await flights.run("k", make)

    async def other() -> None:
        answers.append(await flights.run("k", make))

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await settle()
        group.start_soon(other)
        group.start_soon(other)
        await settle()
        scope.cancel()
        await settle()
        gate.set()
    assert sorted(answers) == [(2, False), (2, True)]


async def test_a_lane_halves_once_per_burst_and_opens_again() -> None:
    now = [0.0]
    lanes = Lanes(lambda: now[0])

    async def refuse() -> int:
        raise TransientError("HTTP 503", slow_down=True)

    async def answer() -> int:
        return 1

    for _ in range(10):
        with pytest.raises(TransientError):
            await lanes.run("b", refuse)
    assert lanes.get("b").limit == 32
    now[0] = 2.0
    with pytest.raises(TransientError):
        await lanes.run("b", refuse)
    assert lanes.get("b").limit == 16
    lanes.get("b").running = 15
    assert await lanes.run("b", answer) == 1
    assert 16 < lanes.get("b").limit < 17
    assert lanes.get("other").limit == 64
    lanes.get("other").running = 63
    assert await lanes.run("other", answer) == 1
    assert lanes.get("other").limit == 65


async def test_a_lane_lets_in_as_many_as_its_limit() -> None:
    lanes, most, running = Lanes(lambda: 0.0), [0], [0]
    lanes.get("b").was_too_much()
    lanes.get("b").limit = 3.0

    async def work() -> int:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await settle()
        running[0] -= 1
        return 0

    async def one() -> None:
        await lanes.run("b", work)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(one)
        await anyio.lowlevel.checkpoint()
        assert most[0] == 3
    assert 3 < most[0] < 8
    assert lanes.get("b").running == 0


async def test_a_late_fetch_gets_one_second_try_and_the_sooner_answer_counts() -> None:
    now, calls = [0.0], list[int]()
    hedge: Hedge[str] = Hedge(lambda: now[0])

    async def quick() -> str:
        return "quick"

    async def straggler() -> str:
        calls.append(len(calls))
        if len(calls) == 1:
            await anyio.sleep_forever()
        return "second"

    assert await hedge.fetch(quick) == "quick"
    answers = []

    async def ask() -> None:
        answers.append(await hedge.fetch(straggler))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await settle()
        hedge.look(group)
        await settle()
        assert calls == [0]
        now[0] = 0.6
        hedge.look(group)
        hedge.look(group)
    assert answers == ["second"]
    assert hedge.second_tries == 1


@pytest.mark.parametrize("is_unwanted", [False, True])
async def test_who_was_woken_by_the_second_try_goes_on_unless_nobody_wants_it(*, is_unwanted: bool) -> None:
    hedge: Hedge[str] = Hedge(lambda: 0.0)
    reached = list[str]()

    async def first() -> str:
        await anyio.sleep_forever()
        return ""

    async def ask(scope: anyio.CancelScope) -> None:
        with scope:
            reached.append(await hedge.fetch(first))
            await anyio.lowlevel.checkpoint()
            reached.append("further")

    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        group.start_soon(ask, scope)
        await settle()
        (fetch,) = hedge._air
        fetch.answer("second")
        if is_unwanted:
            scope.cancel()
    assert ("further" in reached) != is_unwanted
    assert scope.cancelled_caught == is_unwanted


async def test_second_tries_are_a_small_share() -> None:
    now = [0.0]
    hedge: Hedge[str] = Hedge(lambda: now[0])

    async def quick() -> str:
        return "x"

    async def never() -> str:
        await anyio.sleep_forever()
        return ""

    await hedge.fetch(quick)
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(hedge.fetch, never)
        await settle()
        now[0] = 100.0
        hedge.look(group)
        assert hedge.second_tries == 10
        group.cancel_scope.cancel()
