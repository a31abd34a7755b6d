"""Reads the body of `POST /v1/responses` as the chat it means."""

import msgspec

from pronk.engines.bundled.chat import Chat, Message, read_message
from pronk.engines.bundled.fields import Fields, as_object, shown, wrong
from pronk.engines.bundled.generation import LARGEST, Generation, read_sampling, read_seed
from pronk.engines.bundled.refusals import bad, missing
from pronk.engines.bundled.schema import read_text_format

STATEFUL = ("previous_response_id", "conversation", "prompt", "background")


def read_response(fields: Fields) -> Chat:
    """Raises `InvalidRequestError` for the first thing that is wrong or that this engine does not do."""
    _refuse_unsupported(fields)
    sampling = msgspec.structs.replace(read_sampling(fields), schema=read_text_format(fields))
    generation = Generation(
        sampling=sampling,
        max_tokens=fields.integer("max_output_tokens", 1, LARGEST),
        seed=read_seed(fields),
        choices=1,
        stops=(),
    )
    return Chat(with_system_first(_instructions(fields) + _read_input(fields)), generation)


def _refuse_unsupported(fields: Fields) -> None:
    if fields.flag("stream"):
        raise bad(
            "stream",
            "this engine does not stream /v1/responses; use /v1/chat/completions",
            "unsupported_parameter",
        )
    for name in STATEFUL:
        if fields.get(name):
            raise bad(
                name,
                f"{name} is not supported: this engine keeps nothing between requests",
                "unsupported_parameter",
            )


def _instructions(fields: Fields) -> tuple[Message, ...]:
    text = fields.text("instructions")
    return () if text is None else (Message("system", (text,)),)


def _read_input(fields: Fields) -> tuple[Message, ...]:
    value = fields.get("input")
    if value is None:
        raise missing("input", "a string or an array of messages")
    if isinstance(value, str):
        return (Message("user", (value,)),)
    if not isinstance(value, list) or not value:
        raise wrong("input", "a string or an array of messages", value)
    return tuple(_read_item(as_object(item, f"input[{index}]")) for index, item in enumerate(value))


def _read_item(item: Fields) -> Message:
    kind = item.get("type")
    if kind not in (None, "message"):
        raise bad(item.at("type"), f"{item.at('type')} must be message, not {shown(kind)}")
    return read_message(item)


def with_system_first(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Chat templates take one system message and only at the beginning: join them all there."""
    system = tuple(part for message in messages if message.role == "system" for part in message.parts)
    others = tuple(message for message in messages if message.role != "system")
    return (Message("system", system), *others) if system else others
