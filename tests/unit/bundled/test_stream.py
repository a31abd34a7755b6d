"""Streams and whole answers in the shapes that OpenAI's clients read."""

from typing import Any

import anyio
import msgspec
import pytest
from starlette.types import Message, Scope

from pronk.engines.bundled import render
from pronk.engines.bundled.answer import Answer, Piece
from pronk.engines.bundled.chat import Chat
from pronk.engines.bundled.exchange import Exchange, Post
from pronk.engines.bundled.generation import Generation
from pronk.engines.bundled.protocol import Delta, Sampling, Submit
from pronk.engines.bundled.refusals import overloaded, unavailable
from pronk.engines.bundled.sequence import Sequence
from pronk.engines.bundled.stream import stream_chat, stream_completion

pytestmark = pytest.mark.anyio

HEAD = render.Head("chatcmpl-1", 1_700_000_000, "tiny")
SCOPE: Scope = {"type": "http"}


class Wire:
    """Both ends of one ASGI exchange, in memory."""

    def __init__(self, body: bytes = b"{}", *, leaves: bool = False) -> None:
        self.sent: list[Message] = []
        self._incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._incoming += [{"type": "http.disconnect"}] if leaves else []

    async def receive(self) -> Message:
        if not self._incoming:
            await anyio.sleep_forever()
        return self._incoming.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def exchange(self) -> Exchange:
        return Exchange(SCOPE, self.receive, self.send)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    @property
    def events(self) -> list[Any]:
        lines = [line.removeprefix("data: ") for line in self.text.split("\n\n") if line]
        assert lines.pop() == "[DONE]"
        return [msgspec.json.decode(line) for line in lines]


def ignore(_status: int) -> None:
    pass


def spell(token: int) -> tuple[str, bytes]:
    return chr(token), bytes([token])


def decode(tokens: list[int]) -> str:
    return bytes(tokens).decode("utf-8", "replace")


def answer(*texts: bytes, finish: str | None = "stop", prompt: int = 5) -> Answer:
    sequence = Sequence(Submit(1, "p", (), Sampling(), 0, 9, incremental=True), 1, prompt)
    for index, text in enumerate(texts):
        last = index == len(texts) - 1
        sequence.extend(Delta(1, list(text), [-0.5] * len(text), finish if last else None))
    return Answer(sequence, decode, ())


def generation(**members: Any) -> Generation:
    return Generation(Sampling(), None, None, **{"choices": 1, "stops": (), "stream": True, **members})


async def test_a_chat_stream() -> None:
    wire = Wire()
    chat = Chat((), generation(include_usage=True))
    assert await stream_chat(wire.exchange, HEAD, chat, [answer(b"hi")], spell) == ["stop"]
    first, content, end, usage = wire.events
    assert first["choices"] == [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
    ]
    assert content["choices"][0]["delta"] == {"content": "hi"}
    assert (end["choices"][0]["delta"], end["choices"][0]["finish_reason"]) == ({}, "stop")
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    assert {event["id"] for event in wire.events} == {"chatcmpl-1"}
    assert {event["object"] for event in wire.events} == {"chat.completion.chunk"}
    assert wire.status == 200


async def test_no_usage_unless_asked_for() -> None:
    wire = Wire()
    await stream_chat(wire.exchange, HEAD, Chat((), generation()), [answer(b"hi")], spell)
    assert all("usage" not in event for event in wire.events)


async def test_each_choice_of_a_stream_opens_and_ends() -> None:
    wire = Wire()
    chat = Chat((), generation(choices=2))
    assert await stream_chat(
        wire.exchange, HEAD, chat, [answer(b"a"), answer(b"b", finish="length")], spell
    ) == [
        "stop",
        "length",
    ]
    roles = [event["choices"][0]["index"] for event in wire.events if "role" in event["choices"][0]["delta"]]
    ends = {event["choices"][0]["index"]: event["choices"][0]["finish_reason"] for event in wire.events}
    assert (sorted(roles), ends) == ([0, 1], {0: "stop", 1: "length"})


async def test_streamed_log_probabilities() -> None:
    wire = Wire()
    await stream_chat(wire.exchange, HEAD, Chat((), generation(), top_logprobs=1), [answer(b"hi")], spell)
    entry = {"token": "h", "logprob": -0.5, "bytes": [104]}
    assert wire.events[1]["choices"][0]["logprobs"]["content"][0] == {**entry, "top_logprobs": [entry]}


async def test_a_completion_stream() -> None:
    wire = Wire()
    asked = generation(include_usage=True)
    assert await stream_completion(wire.exchange, HEAD, asked, [answer(b"hi")], spell) == ["stop"]
    text, usage = wire.events
    assert text["choices"] == [{"index": 0, "text": "hi", "logprobs": None, "finish_reason": "stop"}]
    assert (text["object"], usage["usage"]["total_tokens"]) == ("text_completion", 7)


async def failing(exchange: Exchange) -> None:
    one = answer(b"hi", finish=None)
    await exchange.event({"delta": (await one.next()).text})
    raise unavailable("gone")


async def test_an_error_within_a_stream_is_its_last_event() -> None:
    wire = Wire()
    refused: list[int] = []
    await Post(failing, 100, refused.append)(SCOPE, wire.receive, wire.send)
    assert wire.events == [
        {"delta": "hi"},
        {"error": {"message": "gone", "type": "server_error", "param": None, "code": "engine_unavailable"}},
    ]
    assert refused == [503]


async def overload(_exchange: Exchange) -> None:
    raise overloaded("too much")


async def test_an_error_before_anything_is_the_answer() -> None:
    wire = Wire()
    await Post(overload, 100, ignore)(SCOPE, wire.receive, wire.send)
    assert wire.status == 429
    assert (b"retry-after", b"1") in wire.sent[0]["headers"]
    assert msgspec.json.decode(wire.text)["error"]["code"] == "engine_overloaded"


async def broken(_exchange: Exchange) -> None:
    raise RuntimeError(object())


async def test_a_fault_tells_nothing_of_its_inside() -> None:
    wire = Wire()
    await Post(broken, 100, ignore)(SCOPE, wire.receive, wire.send)
    assert wire.status == 500
    assert " at 0x" not in wire.text


async def test_a_body_over_the_limit() -> None:
    wire = Wire(b"x" * 101)
    await Post(overload, 100, ignore)(SCOPE, wire.receive, wire.send)
    assert (wire.status, msgspec.json.decode(wire.text)["error"]["code"]) == (413, "request_too_large")


async def test_nothing_is_said_to_a_client_that_left() -> None:
    ended: list[str] = []

    async def long(_exchange: Exchange) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    wire = Wire(leaves=True)
    await Post(long, 100, ignore)(SCOPE, wire.receive, wire.send)
    assert (wire.sent, ended) == ([], ["cancelled"])


async def test_usage_counts_a_prompt_once_and_every_choice() -> None:
    answers = [answer(b"ab"), answer(b"abc"), answer(b"a", prompt=7), answer(b"", prompt=7)]
    for one in answers:
        await one.whole()
    assert render.usage(answers, choices=2) == {
        "prompt_tokens": 12,
        "completion_tokens": 6,
        "total_tokens": 18,
    }


def test_older_log_probabilities_say_where_tokens_begin() -> None:
    shape: Any = render.completion_logprobs(Piece("abc", [97, 98, 99], [-1.0, -2.0, -3.0], "stop"), spell, 10)
    assert (shape["tokens"], shape["text_offset"]) == (["a", "b", "c"], [10, 11, 12])
    assert shape["top_logprobs"][1] == {"b": -2.0}


async def test_a_response_that_was_cut_says_so() -> None:
    one = answer(b"hi", finish="length")
    shape: Any = render.response(HEAD, await one.whole(), one, {"instructions": "x"})
    assert (shape["status"], shape["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert shape["output"][0]["content"][0]["text"] == "hi"
    assert (shape["usage"]["input_tokens"], shape["usage"]["output_tokens"]) == (5, 2)
    assert shape["instructions"] == "x"
