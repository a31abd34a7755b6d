"""How many actors, and which one is replaced next."""

from __future__ import annotations

import pytest

from pronk.cluster.plan import Calm, Limits, Member, Moves, moves

NEW, OLD = "new", "old"


def group(*members: Member) -> dict[str, Member]:
    return {member.name: member for member in members}


def at(number: int, made_of: str = NEW, *, is_ready: bool = True) -> Member:
    return Member(name=f"worker/{number}", made_of=made_of, is_ready=is_ready)


@pytest.mark.parametrize(
    ("backlog", "wanted"), [(0, 2), (1, 2), (20, 2), (21, 3), (50, 5), (51, 6), (59, 6), (61, 6), (10**6, 6)]
)
def test_there_are_as_many_as_the_backlog_asks_for_within_limits(backlog: int, wanted: int) -> None:
    assert Limits(least=2, most=6, shards_each=10).wanted(backlog) == wanted


def test_a_group_grows_at_once_and_shrinks_when_fewer_were_enough_for_a_while() -> None:
    calm = Calm(seconds=10)
    assert calm.of(2, now=0) == 2
    assert calm.of(5, now=1) == 5
    assert calm.of(1, now=2) == 5
    assert calm.of(3, now=5) == 5
    assert calm.of(1, now=10.9) == 5
    assert calm.of(1, now=11) == 3, "three were asked for meanwhile"
    assert calm.of(1, now=20) == 3
    assert calm.of(1, now=21) == 1


def test_a_backlog_that_comes_and_goes_ends_nobody() -> None:
    calm = Calm(seconds=10)
    assert [calm.of(4 if second % 9 == 0 else 1, now=second) for second in range(60)] == [4] * 60


def test_those_that_are_missing_are_started_and_those_with_the_highest_numbers_end() -> None:
    assert moves("worker", {}, 2, NEW) == Moves(start=("worker/0", "worker/1"))
    assert moves("worker", group(at(1), at(2)), 2, NEW) == Moves(start=("worker/0",), stop=("worker/2",))
    assert moves("worker", group(at(0), at(1)), 0, NEW) == Moves(stop=("worker/0", "worker/1"))


def test_names_of_other_groups_are_left_alone() -> None:
    others = group(Member(name="engine/worker/0"), Member(name="worker/x"), Member(name="workers/0"))
    assert moves("worker", others, 0, NEW) == Moves()


def test_one_is_replaced_at_a_time_while_all_others_are_ready() -> None:
    assert moves("worker", group(at(0, OLD), at(1, OLD)), 2, NEW).replace == "worker/0"
    assert moves("worker", group(at(0, is_ready=False), at(1, OLD)), 2, NEW) == Moves()
    assert moves("worker", group(at(0), at(1, OLD)), 2, NEW).replace == "worker/1"
    assert moves("worker", group(at(0), at(1)), 2, NEW) == Moves()


def test_nobody_is_replaced_while_one_is_missing() -> None:
    assert moves("worker", group(at(1, OLD)), 2, NEW) == Moves(start=("worker/0",))


def test_one_that_never_came_up_is_replaced_before_those_that_work() -> None:
    assert moves("worker", group(at(0, OLD), at(1, OLD, is_ready=False)), 2, NEW).replace == "worker/1"


def test_one_that_finds_no_place_holds_up_nobody() -> None:
    waiting = Member(name="worker/1")
    assert moves("worker", group(at(0, OLD), waiting), 2, NEW).replace == "worker/0"
