"""Reads the body of `POST /v1/chat/completions` into messages and a generation."""

from dataclasses import dataclass, replace

import msgspec

from pronk.engines.bundled.fields import Fields, as_object, shown, wrong
from pronk.engines.bundled.generation import Generation, read_generation
from pronk.engines.bundled.refusals import bad, missing
from pronk.engines.bundled.schema import read_response_format

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
MAX_TOP_LOGPROBS = 1


@dataclass(frozen=True, slots=True)
class PicturePart:
    """A picture by its URL; `path` is where the request says it."""

    url: str
    path: str


Part = str | PicturePart


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; only a user's has pictures."""

    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation to be continued. `top_logprobs` is None when no log probabilities are asked for."""

    messages: tuple[Message, ...]
    generation: Generation
    top_logprobs: int | None = None

    @property
    def pictures(self) -> list[PicturePart]:
        return [part for message in self.messages for part in message.parts if isinstance(part, PicturePart)]


def read_chat(fields: Fields) -> Chat:
    """Raises `InvalidRequestError` for the first thing that is wrong."""
    _check_modalities(fields)
    generation = read_generation(fields)
    top = read_top_logprobs(fields)
    sampling = msgspec.structs.replace(
        generation.sampling, logprobs=top is not None, schema=read_response_format(fields)
    )
    return Chat(_read_messages(fields), replace(generation, sampling=sampling), top)


def _check_modalities(fields: Fields) -> None:
    modalities = fields.items("modalities")
    if fields.get("audio") is not None or (modalities is not None and modalities != ["text"]):
        raise bad("modalities", 'this engine answers in text only; leave modalities out or give ["text"]')


def read_top_logprobs(fields: Fields) -> int | None:
    """The alternatives wanted per token; the engine knows the chosen token's value only, so 0 or 1."""
    wanted = fields.flag("logprobs")
    top = fields.integer("top_logprobs", 0, 20)
    if top is not None and not wanted:
        raise bad("top_logprobs", "top_logprobs needs logprobs: true")
    if top is not None and top > MAX_TOP_LOGPROBS:
        raise bad("top_logprobs", f"top_logprobs is at most {MAX_TOP_LOGPROBS} with this engine, not {top}")
    return (top or 0) if wanted else None


def _read_messages(fields: Fields) -> tuple[Message, ...]:
    items = fields.items("messages")
    if items is None:
        raise missing("messages", "an array of messages with role and content")
    if not items:
        raise bad("messages", "messages must have at least one message, not []")
    return tuple(read_message(as_object(item, f"messages[{index}]")) for index, item in enumerate(items))


def read_message(fields: Fields) -> Message:
    """A message of chat's `messages` or Responses' `input`, with `developer` read as `system`."""
    role = fields.required_text("role", "one of system, user, assistant")
    if role not in ROLES:
        raise bad(
            fields.at("role"), f"{fields.at('role')} must be system, user or assistant, not {shown(role)}"
        )
    return Message(ROLES[role], _read_content(fields, pictures=role == "user"))


def _read_content(fields: Fields, *, pictures: bool) -> tuple[Part, ...]:
    content = fields.get("content")
    path = fields.at("content")
    if isinstance(content, str):
        return (content,)
    if content is None:
        raise missing(path, "a string or an array of parts")
    if not isinstance(content, list):
        raise wrong(path, "a string or an array of parts", content)
    parts = (as_object(item, f"{path}[{index}]") for index, item in enumerate(content))
    return tuple(_read_part(part, pictures=pictures) for part in parts)


def _read_part(part: Fields, *, pictures: bool) -> Part:
    kind = part.required_text("type", "text or image_url")
    if kind in ("text", "input_text", "output_text"):
        return part.required_text("text", "the text of the part")
    if kind not in ("image_url", "input_image"):
        raise bad(part.at("type"), f"{part.at('type')} must be text or image_url, not {shown(kind)}")
    if not pictures:
        raise bad(part.at("type"), f"{part.at('type')} is {kind}, but only user messages may have pictures")
    return read_picture(part)


def read_picture(part: Fields) -> PicturePart:
    """Chat's `{"image_url": {"url": …}}`; a bare string, as Responses writes it, is taken as well."""
    value = part.get("image_url")
    path = part.at("image_url")
    if isinstance(value, str):
        return PicturePart(value, path)
    if value is None:
        raise missing(path, "an object with the picture's url")
    inner = as_object(value, path)
    return PicturePart(inner.required_text("url", "a data: URL"), inner.at("url"))
