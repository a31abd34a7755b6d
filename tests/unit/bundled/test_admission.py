"""Requests run when their longest answer fits, in the order they came."""

import pytest

from pronk.domain.errors import RateLimitError
from pronk.engines.bundled.admission import Admission, Room, blocks_for
from pronk.engines.bundled.protocol import Picture, Sampling, Submit
from pronk.engines.bundled.sequence import Sequence


def sequence(number: int, blocks: int = 1, pixels: int = 0) -> Sequence:
    pictures = (Picture(1, pixels // 3, bytes(pixels)),) if pixels else ()
    return Sequence(Submit(number, "p", pictures, Sampling(), 0, 1, incremental=False), blocks, 1)


def admission(
    blocks: int = 10, sequences: int = 10, waiting: int = 10, waiting_bytes: int = 100
) -> Admission:
    return Admission(Room(blocks, sequences, waiting, waiting_bytes))


def admitted(admission: Admission) -> list[int]:
    return [sequence.id for sequence in admission.admit()]


@pytest.mark.parametrize(("tokens", "blocks"), [(1, 1), (32, 1), (33, 2), (64, 2), (2048, 64)])
def test_a_block_holds_32_tokens(tokens: int, blocks: int) -> None:
    assert blocks_for(tokens) == blocks


def test_as_many_run_as_fit() -> None:
    queue = admission(blocks=10)
    for number in range(4):
        queue.enqueue(sequence(number, blocks=4))
    assert admitted(queue) == [0, 1]
    assert (queue.used_blocks, queue.waiting_count, len(queue.running)) == (8, 2, 2)


def test_small_ones_do_not_overtake_a_large_one() -> None:
    queue = admission(blocks=10)
    for number, blocks in enumerate([6, 8, 1, 1]):
        queue.enqueue(sequence(number, blocks))
    assert admitted(queue) == [0]
    queue.leave(queue.running[0])
    assert admitted(queue) == [1, 2, 3]


def test_no_more_sequences_than_the_engine_takes() -> None:
    queue = admission(sequences=2)
    for number in range(3):
        queue.enqueue(sequence(number))
    assert admitted(queue) == [0, 1]


def test_leaving_twice_gives_back_once() -> None:
    queue = admission()
    one, two = sequence(1, 3), sequence(2, 4)
    queue.enqueue(one)
    queue.enqueue(two)
    admitted(queue)
    queue.leave(one)
    queue.leave(one)
    assert queue.used_blocks == 4


def test_leaving_the_queue() -> None:
    queue = admission(blocks=1, waiting_bytes=9)
    for number in range(3):
        queue.enqueue(sequence(number, pixels=3))
    queue.leave(queue_member := sequence(9))
    assert queue.waiting_count == 3
    assert queue_member.id not in queue.running
    assert admitted(queue) == [0]


def test_too_many_waiting_are_refused() -> None:
    queue = admission(waiting=1)
    queue.enqueue(sequence(0))
    with pytest.raises(RateLimitError):
        queue.enqueue(sequence(1))


def test_too_many_waiting_bytes_are_refused_until_some_run() -> None:
    queue = admission(waiting_bytes=50)
    queue.enqueue(sequence(0, pixels=45))
    with pytest.raises(RateLimitError):
        queue.enqueue(sequence(1, pixels=6))
    admitted(queue)
    queue.enqueue(sequence(1, pixels=6))


def test_what_was_interrupted_comes_first_again() -> None:
    queue = admission(blocks=1)
    first, second = sequence(0), sequence(1)
    queue.enqueue(first)
    queue.enqueue(second)
    admitted(queue)
    queue.requeue(first)
    assert (queue.used_blocks, admitted(queue)) == (0, [0])
