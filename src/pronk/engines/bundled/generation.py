"""How an answer is to be generated: the members that chat, completions and responses share, read and checked."""

from dataclasses import dataclass
from typing import TypeVar

from pronk.engines.bundled.fields import Fields, shown, wrong
from pronk.engines.bundled.protocol import Sampling
from pronk.engines.bundled.refusals import bad

MAX_CHOICES = 128
MAX_STOPS = 16
MAX_STOP_CHARACTERS = 1024
SEED_SPAN = 2**63
LARGEST = 2**31 - 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Generation:
    """What to generate; `max_tokens` None means up to the end of the model's context, `seed` None means by chance."""

    sampling: Sampling
    max_tokens: int | None
    seed: int | None
    choices: int
    stops: tuple[str, ...]
    stream: bool = False
    include_usage: bool = False


def read_generation(fields: Fields) -> Generation:
    """The members shared by `/v1/chat/completions` and `/v1/completions`; raises `InvalidRequestError` for the first bad one."""
    stream = fields.flag("stream")
    return Generation(
        sampling=read_sampling(fields),
        max_tokens=_read_max_tokens(fields),
        seed=read_seed(fields),
        choices=fields.integer("n", 1, MAX_CHOICES) or 1,
        stops=_read_stops(fields),
        stream=stream,
        include_usage=_read_include_usage(fields, stream=stream),
    )


def read_sampling(fields: Fields) -> Sampling:
    """OpenAI's sampling members and the ones that vLLM adds."""
    refuse_unsupported(fields)
    temperature = _or_default(fields.number("temperature", 0, 2), 1.0)
    top_p = _or_default(fields.number("top_p", 0, 1), 1.0)
    return Sampling(
        temperature=temperature if top_p > 0 else 0.0,
        top_p=top_p if top_p > 0 else 1.0,
        top_k=max(0, _or_default(fields.integer("top_k", -1, LARGEST), 0)),
        min_p=_or_default(fields.number("min_p", 0, 1), 0.0),
        presence_penalty=_or_default(fields.number("presence_penalty", -2, 2), 0.0),
        frequency_penalty=_or_default(fields.number("frequency_penalty", -2, 2), 0.0),
        repetition_penalty=_or_default(fields.number("repetition_penalty", 0.01, 2), 1.0),
        min_tokens=_or_default(fields.integer("min_tokens", 0, LARGEST), 0),
        ignore_eos=fields.flag("ignore_eos"),
    )


def _or_default(value: T | None, default: T) -> T:
    return default if value is None else value


def refuse_unsupported(fields: Fields) -> None:
    """Members that would change the answer and that this engine cannot honour are refused, not ignored."""
    for name in ("logit_bias", "tools", "functions"):
        if fields.get(name):
            raise bad(
                fields.at(name),
                f"{fields.at(name)} is not supported by this engine; leave it out",
                "unsupported_parameter",
            )


def _read_max_tokens(fields: Fields) -> int | None:
    newer = fields.integer("max_completion_tokens", 1, LARGEST)
    older = fields.integer("max_tokens", 1, LARGEST)
    return older if newer is None else newer


def read_seed(fields: Fields) -> int | None:
    """Any whole number; the engine itself takes 63 bits."""
    seed = fields.get("seed")
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise wrong(fields.at("seed"), "a whole number", seed)
    return seed % SEED_SPAN


def _read_stops(fields: Fields) -> tuple[str, ...]:
    value = fields.get("stop")
    if value is None:
        return ()
    path = fields.at("stop")
    if isinstance(value, str):
        return (_checked_stop(value, path),)
    if not isinstance(value, list):
        raise wrong(path, "a string or an array of strings", value)
    if len(value) > MAX_STOPS:
        raise bad(path, f"{path} has {len(value)} strings; at most {MAX_STOPS} are taken")
    return tuple(_checked_stop(item, f"{path}[{index}]") for index, item in enumerate(value))


def _checked_stop(value: object, path: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_STOP_CHARACTERS:
        raise wrong(path, f"a string of 1 to {MAX_STOP_CHARACTERS} characters", value)
    return value


def _read_include_usage(fields: Fields, *, stream: bool) -> bool:
    options = fields.child("stream_options")
    if options is None:
        return False
    if not stream:
        raise bad(
            options.path,
            f"{options.path} is only allowed with stream: true, not {shown(fields.get('stream'))}",
        )
    return options.flag("include_usage")
