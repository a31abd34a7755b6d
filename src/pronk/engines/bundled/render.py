"""The shapes OpenAI's clients read: whole answers, streamed chunks, usage, log probabilities, model lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pronk.engines.bundled.answer import Answer, Piece

Json = dict[str, object]
Spell = Callable[[int], tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Head:
    """What every object of one answer repeats: its id, its Unix time in seconds, its model."""

    id: str
    created: int
    model: str

    def of(self, kind: str) -> Json:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def usage(answers: Sequence[Answer], choices: int) -> Json:
    """Every prompt counts once, however many choices were made from it."""
    prompt = sum(answer.prompt_tokens for answer in answers[::choices])
    completion = sum(answer.completion_tokens for answer in answers)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def chat_completion(head: Head, choices: list[Json], used: Json) -> Json:
    """A whole chat answer."""
    return {**head.of("chat.completion"), "choices": choices, "usage": used, "system_fingerprint": None}


def chat_choice(index: int, piece: Piece, logprobs: Json | None) -> Json:
    """One choice of a whole chat answer."""
    message = {"role": "assistant", "content": piece.text, "refusal": None}
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": piece.finish}


def chat_chunk(
    head: Head, index: int, delta: Json, finish: str | None = None, logprobs: Json | None = None
) -> Json:
    """One event of a streamed chat answer: what is new in one choice."""
    choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
    return {**head.of("chat.completion.chunk"), "choices": [choice]}


def usage_chunk(head: Head, kind: str, used: Json) -> Json:
    """The last chunk of a stream with `include_usage`: no choices, only usage."""
    return {**head.of(kind), "choices": [], "usage": used}


def chat_logprobs(piece: Piece, spell: Spell, top: int) -> Json:
    """One entry a token; the engine knows the chosen token's value only, which is what `top` repeats."""
    content = []
    for token, logprob in zip(piece.tokens, piece.logprobs, strict=True):
        entry = _token_logprob(spell(token), logprob)
        content.append({**entry, "top_logprobs": [entry] * top})
    return {"content": content, "refusal": None}


def _token_logprob(spelled: tuple[str, bytes], logprob: float) -> Json:
    text, data = spelled
    return {"token": text, "logprob": logprob, "bytes": list(data)}


def completion(head: Head, choices: list[Json], used: Json) -> Json:
    """A whole answer of `/v1/completions`."""
    return {**head.of("text_completion"), "choices": choices, "usage": used, "system_fingerprint": None}


def completion_choice(index: int, piece: Piece, logprobs: Json | None) -> Json:
    """One choice of `/v1/completions`, whole or a chunk."""
    return {"index": index, "text": piece.text, "logprobs": logprobs, "finish_reason": piece.finish}


def completion_chunk(head: Head, choice: Json) -> Json:
    """One event of a streamed completion."""
    return {**head.of("text_completion"), "choices": [choice]}


def completion_logprobs(piece: Piece, spell: Spell, offset: int) -> Json:
    """The older shape: parallel lists, and where in the text each token begins."""
    texts = [spell(token)[0] for token in piece.tokens]
    offsets = [offset + sum(map(len, texts[:count])) for count in range(len(texts))]
    tops = [{text: logprob} for text, logprob in zip(texts, piece.logprobs, strict=True)]
    return {"tokens": texts, "token_logprobs": piece.logprobs, "top_logprobs": tops, "text_offset": offsets}


def response(head: Head, piece: Piece, answer: Answer, wanted: Json) -> Json:
    """The object of `/v1/responses`; `wanted` are the request's members that it repeats."""
    cut = piece.finish == "length"
    content = {"type": "output_text", "text": piece.text, "annotations": [], "logprobs": []}
    status = "incomplete" if cut else "completed"
    message = {
        "id": head.id.replace("resp_", "msg_"),
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [content],
    }
    return {
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "model": head.model,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [message],
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "tools": [],
        **wanted,
        "usage": _response_usage(answer),
    }


def _response_usage(answer: Answer) -> Json:
    return {
        "input_tokens": answer.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": answer.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }


def model_card(name: str, created: int, context: int) -> Json:
    """One entry of `/v1/models`; `context` is in tokens."""
    return {"id": name, "object": "model", "created": created, "owned_by": "pronk", "max_model_len": context}
