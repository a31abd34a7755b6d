"""Tokens reach their reader once each, also when generating begins anew."""

import anyio
import pytest

from pronk.domain.errors import ApiError, UnavailableError
from pronk.engines.bundled.answer import Answer
from pronk.engines.bundled.protocol import Delta, Sampling, Submit
from pronk.engines.bundled.refusals import unavailable
from pronk.engines.bundled.sequence import Sequence, Tail

pytestmark = pytest.mark.anyio


def sequence() -> Sequence:
    return Sequence(Submit(1, "p", (), Sampling(), 0, 9, incremental=True), 1, 5)


def delta(*tokens: int, finish: str | None = None, restarted: bool = False, prompt: int = 0) -> Delta:
    return Delta(1, list(tokens), [-float(token) for token in tokens], finish, prompt, restarted)


def decode(tokens: list[int]) -> str:
    return bytes(tokens).decode("utf-8", "replace")


async def test_tokens_and_end() -> None:
    one = sequence()
    tail = Tail(one)
    one.extend(delta(1, 2))
    assert await tail.next() == ([1, 2], [-1.0, -2.0])
    one.extend(delta(3, finish="stop", prompt=7))
    assert await tail.next() == ([3], [-3.0])
    assert (await tail.next(), one.finish, one.prompt_tokens) == (([], []), "stop", 7)


async def test_a_reader_sleeps_until_something_comes() -> None:
    one = sequence()
    got: list[list[int]] = []

    async def read() -> None:
        got.append((await Tail(one).next())[0])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.lowlevel.checkpoint()
        one.extend(delta(4))
    assert got == [[4]]


async def test_a_failure_wakes_and_is_raised() -> None:
    one = sequence()
    one.fail(unavailable("gone"))
    with pytest.raises(ApiError, match="gone"):
        await Tail(one).next()


async def test_a_restart_with_the_same_tokens_is_not_seen() -> None:
    one = sequence()
    tail = Tail(one)
    one.extend(delta(1, 2))
    await tail.next()
    one.restart()
    one.extend(delta(1, 2, 3, finish="length"))
    assert await tail.next() == ([3], [-3.0])


async def test_a_restart_with_other_tokens_is_an_error_for_who_has_read_some() -> None:
    one = sequence()
    tail = Tail(one)
    one.extend(delta(1, 2))
    await tail.next()
    one.extend(delta(1, 9, 3, restarted=True))
    with pytest.raises(UnavailableError):
        await tail.next()
    assert (await Tail(one).next())[0] == [1, 9, 3]


async def test_a_whole_answer() -> None:
    one = sequence()
    one.extend(delta(*b"hello"))
    one.extend(delta(*b" you", finish="stop"))
    answer = Answer(one, decode, ())
    piece = await answer.whole()
    assert (piece.text, piece.finish, len(piece.logprobs), answer.completion_tokens) == (
        "hello you",
        "stop",
        9,
        9,
    )


async def test_a_stop_string_ends_an_answer_that_still_runs() -> None:
    one = sequence()
    one.extend(delta(*b"hello you"))
    answer = Answer(one, decode, ["lo"])
    piece = await answer.whole()
    assert (piece.text, piece.finish, answer.completion_tokens) == ("hel", "stop", 9)
