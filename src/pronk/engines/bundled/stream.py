"""Answers as server-sent events while they are generated, the choices interleaved as their tokens come."""

from collections.abc import Awaitable, Callable

import anyio

from pronk.domain.errors import ApiError
from pronk.engines.bundled import render
from pronk.engines.bundled.answer import Answer, Piece
from pronk.engines.bundled.chat import Chat
from pronk.engines.bundled.exchange import Exchange
from pronk.engines.bundled.generation import Generation

Emit = Callable[[int, Piece], Awaitable[None]]


async def stream_chat(
    exchange: Exchange, head: render.Head, chat: Chat, answers: list[Answer], spell: render.Spell
) -> list[str]:
    """Send the whole stream; returns how each choice finished."""
    opened: set[int] = set()

    async def emit(index: int, piece: Piece) -> None:
        if index not in opened:
            opened.add(index)
            await exchange.event(render.chat_chunk(head, index, {"role": "assistant", "content": ""}))
        top = chat.top_logprobs
        logprobs = render.chat_logprobs(piece, spell, top) if top is not None and piece.tokens else None
        if piece.text or logprobs:
            await exchange.event(render.chat_chunk(head, index, {"content": piece.text}, logprobs=logprobs))
        if piece.finish is not None:
            await exchange.event(render.chat_chunk(head, index, {}, piece.finish))

    finishes = await pump(answers, emit)
    await _close(exchange, head, "chat.completion.chunk", chat.generation, answers)
    return finishes


async def stream_completion(
    exchange: Exchange,
    head: render.Head,
    generation: Generation,
    answers: list[Answer],
    spell: render.Spell,
) -> list[str]:
    """Send the whole stream; returns how each choice finished."""
    offsets = [0] * len(answers)

    async def emit(index: int, piece: Piece) -> None:
        logprobs = (
            render.completion_logprobs(piece, spell, offsets[index]) if generation.sampling.logprobs else None
        )
        offsets[index] += len(piece.text)
        if piece.text or piece.finish is not None:
            choice = render.completion_choice(index, piece, logprobs)
            await exchange.event(render.completion_chunk(head, choice))

    finishes = await pump(answers, emit)
    await _close(exchange, head, "text_completion", generation, answers)
    return finishes


async def _close(
    exchange: Exchange, head: render.Head, kind: str, generation: Generation, answers: list[Answer]
) -> None:
    if generation.include_usage:
        used = render.usage(answers, generation.choices)
        await exchange.event(render.usage_chunk(head, kind, used))
    await exchange.done()


async def pump(answers: list[Answer], emit: Emit) -> list[str]:
    """Emit every piece of every answer as it comes; the first failure ends them all and is raised."""
    finishes = [""] * len(answers)
    failures: list[ApiError] = []

    async def follow(index: int, answer: Answer) -> None:
        try:
            while not finishes[index]:
                piece = await answer.next()
                await emit(index, piece)
                finishes[index] = piece.finish or ""
        except ApiError as error:
            failures.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for index, answer in enumerate(answers):
            tasks.start_soon(follow, index, answer)
    if failures:
        raise failures[0]
    return finishes
