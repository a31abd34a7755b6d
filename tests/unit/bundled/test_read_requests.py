"""What a good request means."""

import pytest

from pronk.engines.bundled.chat import Message, PicturePart, read_chat
from pronk.engines.bundled.completions import read_completion
from pronk.engines.bundled.fields import Fields
from pronk.engines.bundled.responses import read_response

USER = {"role": "user", "content": "hi"}


def chat(**members: object) -> Fields:
    return Fields({"messages": [USER], **members})


def test_nothing_said_means_openai_defaults() -> None:
    generation = read_chat(chat()).generation
    assert (generation.sampling.temperature, generation.sampling.top_p) == (1.0, 1.0)
    assert (generation.max_tokens, generation.seed, generation.choices, generation.stops) == (
        None,
        None,
        1,
        (),
    )
    assert not generation.stream


def test_nulls_are_as_absent() -> None:
    names = (
        "temperature",
        "top_p",
        "n",
        "stop",
        "seed",
        "max_tokens",
        "stream",
        "response_format",
        "logprobs",
        "tools",
    )
    assert read_chat(chat(**dict.fromkeys(names))) == read_chat(chat())


def test_unknown_members_are_accepted() -> None:
    assert read_chat(chat(chat_template_kwargs={"a": 1}, service_tier="auto", user="me")) == read_chat(chat())


def test_top_p_of_zero_is_greedy() -> None:
    sampling = read_chat(chat(top_p=0)).generation.sampling
    assert (sampling.temperature, sampling.top_p) == (0.0, 1.0)


def test_the_newer_name_of_max_tokens_wins() -> None:
    assert read_chat(chat(max_tokens=5, max_completion_tokens=7)).generation.max_tokens == 7


@pytest.mark.parametrize(("seed", "used"), [(0, 0), (-1, 2**63 - 1), (2**63 + 5, 5), (2**70, 0)])
def test_any_whole_number_is_a_seed(seed: int, used: int) -> None:
    assert read_chat(chat(seed=seed)).generation.seed == used


def test_a_stop_may_be_one_string() -> None:
    assert read_chat(chat(stop="a")).generation.stops == ("a",)


def test_parts_keep_their_order_and_pictures_their_path() -> None:
    url = {"url": "data:x", "detail": "low"}
    content = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": url},
        {"type": "text", "text": "b"},
    ]
    [message] = read_chat(Fields({"messages": [{"role": "user", "content": content}]})).messages
    assert message.parts == ("a", PicturePart("data:x", "messages[0].content[1].image_url.url"), "b")


def test_a_developer_is_a_system() -> None:
    fields = Fields({"messages": [{"role": "developer", "content": "be brief"}, USER]})
    assert [message.role for message in read_chat(fields).messages] == ["system", "user"]


@pytest.mark.parametrize(
    ("members", "top"), [({}, None), ({"logprobs": True}, 0), ({"logprobs": True, "top_logprobs": 1}, 1)]
)
def test_log_probabilities(members: dict[str, object], top: int | None) -> None:
    read = read_chat(chat(**members))
    assert (read.top_logprobs, read.generation.sampling.logprobs) == (top, top is not None)


def test_forms_of_answers() -> None:
    schema = {"type": "object", "properties": {"größte Höhe": {"type": "number"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    assert read_chat(chat(response_format={"type": "text"})).generation.sampling.schema is None
    assert (
        read_chat(chat(response_format={"type": "json_object"})).generation.sampling.schema
        == '{"type":"object"}'
    )
    text = read_chat(chat(response_format=wanted)).generation.sampling.schema
    assert text == '{"type":"object","properties":{"größte Höhe":{"type":"number"}}}'


def test_a_completion_is_sixteen_tokens_long_by_default() -> None:
    completion = read_completion(
        Fields({"prompt": ["a", "b"], "n": 2, "best_of": 2, "echo": False, "suffix": ""})
    )
    assert completion.prompts == ("a", "b")
    assert (completion.generation.max_tokens, completion.generation.choices) == (16, 2)


def test_a_response_is_a_chat_with_one_system_message_first() -> None:
    fields = Fields(
        {
            "instructions": "be brief",
            "input": [
                {"role": "user", "content": [{"type": "input_image", "image_url": "data:x"}]},
                {"type": "message", "role": "developer", "content": "in English"},
                {"role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
            ],
            "max_output_tokens": 9,
            "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}},
        }
    )
    chat = read_response(fields)
    assert chat.messages == (
        Message("system", ("be brief", "in English")),
        Message("user", (PicturePart("data:x", "input[0].content[0].image_url"),)),
        Message("assistant", ("yes",)),
    )
    assert (chat.generation.max_tokens, chat.generation.sampling.schema) == (9, '{"type":"object"}')


def test_a_string_is_a_users_response_input() -> None:
    assert read_response(Fields({"input": "hi"})).messages == (Message("user", ("hi",)),)
