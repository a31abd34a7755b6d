"""The answers of the fake engine: what it reads in a request body, and OpenAI's shapes filled with an echo of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec

encode = msgspec.json.encode
_numbers = count(1)


class Part(msgspec.Struct):
    """A content part of a chat message or of a Responses input."""

    type: str = ""
    text: str = ""
    image_url: str | dict[str, Any] | None = None


class Message(msgspec.Struct):
    role: str = ""
    content: str | list[Part] | None = None


class Body(msgspec.Struct):
    """What the fake engine reads of a request; all the rest is skipped."""

    model: str = ""
    messages: list[Message] = []
    prompt: str | list[Any] = ""
    input: str | list[Any] = ""
    stream: bool = False


decode = msgspec.json.Decoder(Body).decode


def describe(url: str) -> str:
    """Return how the echo names a picture: the kind of its URL, its length in characters, its CRC-32."""
    kind = url[:64].partition(",")[0] if url.startswith("data:") else url.partition(":")[0]
    return f"[{kind} {len(url)} {zlib.crc32(url.encode()):08x}]"


def echo(body: Body) -> str:
    """Return the text of the last message, prompt or input; pictures stand in it as `describe` names them."""
    if body.messages:
        return _text_of(body.messages[-1].content)
    given = body.prompt or body.input
    if isinstance(given, str):
        return given
    last = given[-1] if given else ""
    return _text_of(msgspec.convert(last, Message).content) if isinstance(last, dict) else str(last)


def _text_of(content: str | list[Part] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return " ".join(_text_of_part(part) for part in content)


def _text_of_part(part: Part) -> str:
    if part.image_url is None:
        return part.text
    url = part.image_url if isinstance(part.image_url, str) else str(part.image_url.get("url", ""))
    return describe(url)


def answer(path: str, body: Body, size: int) -> bytes:
    """Return the JSON of a whole answer to a request of `size` bytes; tokens are counted as words and bytes/4."""
    if path.endswith("/chat/completions"):
        return _chat(body, size)
    if path.endswith("/embeddings"):
        return _embeddings(body, size)
    if path.endswith("/responses"):
        return _response(body, size)
    return _completion(body, size)


def _chat(body: Body, size: int) -> bytes:
    text = echo(body)
    return (
        b'{"id":"chatcmpl-%d","object":"chat.completion","created":1700000000,"model":%b,"choices":[{"index":0,'
        b'"message":{"role":"assistant","content":%b},"logprobs":null,"finish_reason":"stop"}],"usage":%b}'
        % (next(_numbers), encode(body.model), encode(text), _usage(text, size))
    )


def _completion(body: Body, size: int) -> bytes:
    text = echo(body)
    return (
        b'{"id":"cmpl-%d","object":"text_completion","created":1700000000,"model":%b,'
        b'"choices":[{"index":0,"text":%b,"logprobs":null,"finish_reason":"stop"}],"usage":%b}'
        % (next(_numbers), encode(body.model), encode(text), _usage(text, size))
    )


def _embeddings(body: Body, size: int) -> bytes:
    inputs = body.input if isinstance(body.input, list) else [body.input]
    data = [{"object": "embedding", "index": i, "embedding": _vector(str(x))} for i, x in enumerate(inputs)]
    tokens = max(1, size // 4)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return encode({"object": "list", "data": data, "model": body.model, "usage": usage})


def _vector(text: str) -> list[float]:
    checksum = zlib.crc32(text.encode())
    return [((checksum >> shift) & 255) / 256 for shift in (0, 8, 16, 24)]


def _response(body: Body, size: int) -> bytes:
    text, number = echo(body), next(_numbers)
    content = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant"}
    input_tokens, output_tokens = max(1, size // 4), _tokens(text)
    usage = {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }
    fixed = {"object": "response", "created_at": 1700000000, "status": "completed", "error": None}
    tools = {"tools": [], "tool_choice": "auto", "parallel_tool_calls": False}
    output = [{**message, "content": [content]}]
    return encode(
        {"id": f"resp_{number}", **fixed, "model": body.model, "output": output, **tools, "usage": usage}
    )


def _usage(text: str, size: int) -> bytes:
    read, wrote = max(1, size // 4), _tokens(text)
    return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (read, wrote, read + wrote)


def _tokens(text: str) -> int:
    return text.count(" ") + 1


def events(path: str, body: Body) -> Iterator[bytes]:
    """Yield the server-sent events of a streamed answer: one for each word, then ``[DONE]``."""
    words = echo(body).split(" ")
    for i, word in enumerate(words):
        text = word if i == len(words) - 1 else word + " "
        yield b"data: " + encode(_chunk(path, body.model, text)) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _chunk(path: str, model: str, text: str) -> dict[str, Any]:
    if path.endswith("/responses"):
        return {"type": "response.output_text.delta", "delta": text}
    if path.endswith("/chat/completions"):
        choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
        kind = "chat.completion.chunk"
    else:
        choice = {"index": 0, "text": text, "finish_reason": None}
        kind = "text_completion"
    return {"id": "chunk", "object": kind, "created": 1700000000, "model": model, "choices": [choice]}


def error(status: int, message: str) -> bytes:
    """Return OpenAI's error envelope."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return encode({"error": {"message": message, "type": kind, "param": None, "code": None}})


def models(names: list[str]) -> bytes:
    """Return the list of models."""
    data = [{"id": name, "object": "model", "created": 1700000000, "owned_by": "fake"} for name in names]
    return encode({"object": "list", "data": data})
