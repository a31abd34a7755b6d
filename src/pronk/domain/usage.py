"""Tokens that a request used, read from the usage shapes of all endpoints."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Token counts; they add up."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )

    @property
    def total_tokens(self) -> int:
        """Input and output; cached and reasoning tokens are parts of these."""
        return self.input_tokens + self.output_tokens


NO_USAGE = Usage()


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _WireUsage(msgspec.Struct, gc=False):
    """Both namings at once: chat and completions say prompt/completion, responses say input/output."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Answer(msgspec.Struct, gc=False):
    usage: _WireUsage | msgspec.UnsetType | None = msgspec.UNSET
    model: str | msgspec.UnsetType | None = msgspec.UNSET


class _AnyAnswer(msgspec.Struct, gc=False):
    """An answer whose usage does not have a known shape; decoding it still proves that it is JSON."""


_decode = msgspec.json.Decoder(_Answer).decode
_decode_any = msgspec.json.Decoder(_AnyAnswer).decode


def read_usage(body: bytes) -> tuple[Usage, str | None]:
    """Return the tokens and the model named in an engine's answer.

    Raises msgspec.DecodeError when the body is not one JSON object.
    """
    try:
        answer = _decode(body)
    except msgspec.ValidationError:
        _decode_any(body)
        return NO_USAGE, None
    return _usage(answer.usage or None), answer.model or None


def _usage(wire: _WireUsage | None) -> Usage:
    if wire is None:
        return NO_USAGE
    into = wire.input_tokens_details or wire.prompt_tokens_details
    out = wire.output_tokens_details or wire.completion_tokens_details
    return Usage(
        wire.input_tokens or wire.prompt_tokens or 0,
        (into.cached_tokens or 0) if into else 0,
        wire.output_tokens or wire.completion_tokens or 0,
        (out.reasoning_tokens or 0) if out else 0,
    )
