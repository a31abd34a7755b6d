"""Reads the body of `POST /v1/completions`: prompts that are continued as they are, without a chat template."""

from dataclasses import dataclass, replace

import msgspec

from pronk.engines.bundled.fields import Fields, wrong
from pronk.engines.bundled.generation import Generation, read_generation
from pronk.engines.bundled.refusals import bad, missing

DEFAULT_MAX_TOKENS = 16
MAX_PROMPTS = 64


@dataclass(frozen=True, slots=True)
class Completion:
    """Prompts to be continued, each in every choice of `generation`."""

    prompts: tuple[str, ...]
    generation: Generation


def read_completion(fields: Fields) -> Completion:
    """Raises `InvalidRequestError` for the first thing that is wrong."""
    _refuse_unsupported(fields)
    generation = read_generation(fields)
    logprobs = fields.integer("logprobs", 0, 1) is not None
    return Completion(
        _read_prompts(fields),
        replace(
            generation,
            max_tokens=generation.max_tokens or DEFAULT_MAX_TOKENS,
            sampling=msgspec.structs.replace(generation.sampling, logprobs=logprobs),
        ),
    )


def _refuse_unsupported(fields: Fields) -> None:
    if fields.flag("echo"):
        raise bad("echo", "echo is not supported by this engine; leave it out", "unsupported_parameter")
    if fields.text("suffix"):
        raise bad("suffix", "suffix is not supported by this engine; leave it out", "unsupported_parameter")
    best_of = fields.integer("best_of", 1, 20)
    if best_of is not None and best_of != (fields.get("n") or 1):
        raise bad(
            "best_of", f"best_of must be the same as n or left out, not {best_of}", "unsupported_parameter"
        )


def _read_prompts(fields: Fields) -> tuple[str, ...]:
    prompt = fields.get("prompt")
    if prompt is None:
        raise missing("prompt", "a string or an array of strings")
    if isinstance(prompt, str):
        return (_checked_prompt(prompt, "prompt"),)
    if not isinstance(prompt, list) or not 0 < len(prompt) <= MAX_PROMPTS:
        raise wrong("prompt", f"a string or an array of 1 to {MAX_PROMPTS} strings", prompt)
    return tuple(_checked_prompt(item, f"prompt[{index}]") for index, item in enumerate(prompt))


def _checked_prompt(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise wrong(path, "a string that is not empty (lists of token numbers are not taken)", value)
    return value
