"""Every kind of bad request is a 400 that names where it is wrong."""

from collections.abc import Callable
from typing import Any

import pytest

from pronk.domain.errors import InvalidRequestError
from pronk.engines.bundled.chat import read_chat
from pronk.engines.bundled.completions import read_completion
from pronk.engines.bundled.fields import Fields, read_body
from pronk.engines.bundled.responses import read_response

GOOD: list[dict[str, object]] = [{"role": "user", "content": "hi"}]


def part(**members: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": [members]}]}


def schema(value: object) -> dict[str, object]:
    return {
        "messages": GOOD,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": value}},
    }


def nested(depth: int) -> dict[str, object]:
    value: dict[str, object] = {"type": "string"}
    for _ in range(depth):
        value = {"items": value}
    return value


CHAT: list[tuple[dict[str, Any], str]] = [
    ({}, "messages"),
    ({"messages": None}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": ["hi"]}, "messages[0]"),
    ({"messages": [{}]}, "messages[0].role"),
    ({"messages": [{"role": 3, "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ({"messages": [*GOOD, {"role": "user"}]}, "messages[1].content"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": {"type": "text"}}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
    (part(), "messages[0].content[0].type"),
    (part(type="text"), "messages[0].content[0].text"),
    (part(type="text", text=["x"]), "messages[0].content[0].text"),
    (part(type="input_audio", input_audio={}), "messages[0].content[0].type"),
    (part(type="image_url"), "messages[0].content[0].image_url"),
    (part(type="image_url", image_url=None, uuid="u"), "messages[0].content[0].image_url"),
    (part(type="image_url", image_url=7), "messages[0].content[0].image_url"),
    (part(type="image_url", image_url={}), "messages[0].content[0].image_url.url"),
    (part(type="image_url", image_url={"url": 7}), "messages[0].content[0].image_url.url"),
    (
        {
            "messages": [
                {"role": "system", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
            ]
        },
        "messages[0].content[0].type",
    ),
    ({"messages": GOOD, "temperature": -0.1}, "temperature"),
    ({"messages": GOOD, "temperature": 2.1}, "temperature"),
    ({"messages": GOOD, "temperature": "hot"}, "temperature"),
    ({"messages": GOOD, "temperature": True}, "temperature"),
    ({"messages": GOOD, "top_p": 1.5}, "top_p"),
    ({"messages": GOOD, "top_k": 1.5}, "top_k"),
    ({"messages": GOOD, "min_p": 2}, "min_p"),
    ({"messages": GOOD, "max_tokens": 0}, "max_tokens"),
    ({"messages": GOOD, "max_tokens": 1.5}, "max_tokens"),
    ({"messages": GOOD, "max_completion_tokens": -1}, "max_completion_tokens"),
    ({"messages": GOOD, "min_tokens": -1}, "min_tokens"),
    ({"messages": GOOD, "presence_penalty": 3}, "presence_penalty"),
    ({"messages": GOOD, "frequency_penalty": -3}, "frequency_penalty"),
    ({"messages": GOOD, "repetition_penalty": 0}, "repetition_penalty"),
    ({"messages": GOOD, "n": 0}, "n"),
    ({"messages": GOOD, "n": 1000}, "n"),
    ({"messages": GOOD, "seed": "x"}, "seed"),
    ({"messages": GOOD, "seed": 1.5}, "seed"),
    ({"messages": GOOD, "stop": 5}, "stop"),
    ({"messages": GOOD, "stop": ""}, "stop"),
    ({"messages": GOOD, "stop": ["a", ""]}, "stop[1]"),
    ({"messages": GOOD, "stop": ["a", 1]}, "stop[1]"),
    ({"messages": GOOD, "stop": ["a"] * 17}, "stop"),
    ({"messages": GOOD, "stream": "yes"}, "stream"),
    ({"messages": GOOD, "stream_options": {"include_usage": True}}, "stream_options"),
    (
        {"messages": GOOD, "stream": True, "stream_options": {"include_usage": 1}},
        "stream_options.include_usage",
    ),
    ({"messages": GOOD, "logprobs": 1}, "logprobs"),
    ({"messages": GOOD, "top_logprobs": 1}, "top_logprobs"),
    ({"messages": GOOD, "logprobs": True, "top_logprobs": 2}, "top_logprobs"),
    ({"messages": GOOD, "tools": [{"type": "function"}]}, "tools"),
    ({"messages": GOOD, "logit_bias": {"5": 1}}, "logit_bias"),
    ({"messages": GOOD, "modalities": ["text", "audio"]}, "modalities"),
    ({"messages": GOOD, "response_format": "json"}, "response_format"),
    ({"messages": GOOD, "response_format": {}}, "response_format.type"),
    ({"messages": GOOD, "response_format": {"type": "xml"}}, "response_format.type"),
    ({"messages": GOOD, "response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    (schema(None), "response_format.json_schema.schema"),
    (schema("{}"), "response_format.json_schema.schema"),
    (schema(nested(40)), "response_format.json_schema.schema"),
    (schema({"enum": ["x" * 70_000]}), "response_format.json_schema.schema"),
    (schema({"properties": {"größe": {"type": "string"}}}), "response_format.json_schema.schema"),
    (schema({"items": [{"enum": ["éa"]}]}), "response_format.json_schema.schema"),
]

COMPLETIONS: list[tuple[dict[str, Any], str]] = [
    ({}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": []}, "prompt"),
    ({"prompt": [1, 2, 3]}, "prompt[0]"),
    ({"prompt": ["a", ""]}, "prompt[1]"),
    ({"prompt": "a", "echo": True}, "echo"),
    ({"prompt": "a", "suffix": "b"}, "suffix"),
    ({"prompt": "a", "best_of": 3}, "best_of"),
    ({"prompt": "a", "logprobs": 5}, "logprobs"),
]

RESPONSES: list[tuple[dict[str, Any], str]] = [
    ({}, "input"),
    ({"input": 5}, "input"),
    ({"input": []}, "input"),
    ({"input": [{"type": "function_call_output"}]}, "input[0].type"),
    ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].type"),
    ({"input": "x", "stream": True}, "stream"),
    ({"input": "x", "previous_response_id": "resp_1"}, "previous_response_id"),
    ({"input": "x", "max_output_tokens": 0}, "max_output_tokens"),
    ({"input": "x", "instructions": 5}, "instructions"),
    ({"input": "x", "text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
]


def refusal(read: Callable[[Fields], object], body: dict[str, Any]) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        read(Fields(body))
    return caught.value


@pytest.mark.parametrize(("body", "param"), CHAT)
def test_chat(body: dict[str, Any], param: str) -> None:
    error = refusal(read_chat, body)
    assert (error.param, error.status_code) == (param, 400)
    assert param.rsplit(".", maxsplit=1)[-1] in error.message
    assert " at 0x" not in error.message


@pytest.mark.parametrize(("body", "param"), COMPLETIONS)
def test_completions(body: dict[str, Any], param: str) -> None:
    assert refusal(read_completion, body).param == param


@pytest.mark.parametrize(("body", "param"), RESPONSES)
def test_responses(body: dict[str, Any], param: str) -> None:
    assert refusal(read_response, body).param == param


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"a":"\\ud800"}', b"[" * 100_000]
)
def test_bodies_that_are_no_object(data: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_body(data)
    assert caught.value.code == "invalid_json"


def test_a_long_value_is_quoted_shortly() -> None:
    error = refusal(read_chat, {"messages": GOOD, "temperature": "x" * 10_000})
    assert len(error.message) < 200
