"""What the server and its generating process say to each other: MessagePack structs, each behind a four-byte length."""

import msgspec

LENGTH_BYTES = 4
BLOCK_TOKENS = 32


class Sampling(msgspec.Struct, frozen=True, array_like=True):
    """How tokens are drawn; every value is already within the engine's range. Temperature 0 is greedy."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    min_tokens: int = 0
    ignore_eos: bool = False
    logprobs: bool = False
    schema: str | None = None


class Picture(msgspec.Struct, frozen=True, array_like=True):
    """An RGB picture, rows from the top, three bytes a pixel."""

    height: int
    width: int
    pixels: bytes


class Open(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    """The first message to a process: what to load. `pictures` tells a vision-language model from a text one."""

    model_dir: str
    pictures: bool
    kv_blocks: int
    max_sequences: int
    max_batched_tokens: int
    prefix_caching: bool
    precision: str


class Submit(msgspec.Struct, frozen=True, array_like=True, tag="submit"):
    """One sequence to generate. With `incremental` its tokens are sent at every step, else all at the end."""

    id: int
    prompt: str
    pictures: tuple[Picture, ...]
    sampling: Sampling
    seed: int
    max_tokens: int
    incremental: bool


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag="cancel"):
    """Stop a sequence and free what it holds; answered by a last `Delta` unless it ended before."""

    id: int


class Compile(msgspec.Struct, frozen=True, array_like=True, tag="compile"):
    """Try a JSON schema; only a process that generates for nobody is asked to."""

    id: int
    schema: str


class Ready(msgspec.Struct, frozen=True, array_like=True, tag="ready"):
    """The model is loaded and warm."""


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """The model cannot be loaded."""

    message: str


class Delta(msgspec.Struct, frozen=True, array_like=True):
    """New tokens of one sequence.

    `finish` is None while it runs, else `stop`, `length`, `cancelled`, `evicted` (the cache was full) or `error`.
    `prompt_tokens` counts pictures too and is known at the end only (0 before). `restarted` says that all earlier
    tokens are void.
    """

    id: int
    tokens: list[int]
    logprobs: list[float]
    finish: str | None = None
    prompt_tokens: int = 0
    restarted: bool = False


class Progress(msgspec.Struct, frozen=True, array_like=True, tag="progress"):
    """What one step brought; `cache_usage` is the share of the KV cache in use, 0 to 1."""

    deltas: list[Delta]
    cache_usage: float


class Verdict(msgspec.Struct, frozen=True, array_like=True, tag="verdict"):
    """The answer to `Compile`."""

    id: int
    ok: bool


ToChild = Open | Submit | Cancel | Compile
ToParent = Ready | Failed | Progress | Verdict

_encoder = msgspec.msgpack.Encoder()
to_child_decoder = msgspec.msgpack.Decoder(ToChild)
to_parent_decoder = msgspec.msgpack.Decoder(ToParent)


def frame(message: ToChild | ToParent) -> bytes:
    """One message as it travels."""
    buffer = bytearray(LENGTH_BYTES)
    _encoder.encode_into(message, buffer, LENGTH_BYTES)
    buffer[:LENGTH_BYTES] = (len(buffer) - LENGTH_BYTES).to_bytes(LENGTH_BYTES, "big")
    return bytes(buffer)


class Frames:
    """Cuts a byte stream back into messages, however the stream was chopped."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The payload of every message that `data` completes."""
        self._pending += data
        payloads = []
        start = 0
        while (body := start + LENGTH_BYTES) <= len(self._pending):
            end = body + int.from_bytes(self._pending[start:body], "big")
            if end > len(self._pending):
                break
            payloads.append(bytes(self._pending[body:end]))
            start = end
        del self._pending[:start]
        return payloads
