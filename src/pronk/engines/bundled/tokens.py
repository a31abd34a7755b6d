"""The model's tokenizer as the server uses it: templating, counting and decoding, without the model itself.

The library's calls hand each bit of work to another thread and wait for it with the interpreter locked. On a busy
machine that takes milliseconds, so what a batch repeats is remembered, and bytes are joined here.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import openvino_genai as genai

from pronk.engines.bundled.layout import read_json
from pronk.engines.bundled.prompt import Turn
from pronk.engines.bundled.text import REPLACEMENT, Decode

REMEMBERED = 256


def load_tokenizer(model_dir: Path) -> genai.Tokenizer:
    """On one thread: sharing a few words among several takes longer than the work itself."""
    return genai.Tokenizer(str(model_dir), INFERENCE_NUM_THREADS=1)


class Tokens:
    """One tokenizer; a batch asks the same of many pictures, so prompts and counts are remembered.

    `render` is the model's own chat template over (role, text) turns, ending where the assistant begins; it raises
    `RuntimeError` as it likes. `count` is a prompt's number of tokens, `decode` their text without control tokens.
    """

    def __init__(self, model_dir: Path) -> None:
        self._tokenizer = load_tokenizer(model_dir)
        self._bytes: dict[int, bytes] = {token: data for data, token in self._tokenizer.get_vocab().items()}
        self.longest_bytes = max(map(len, self._bytes.values()), default=1)
        self.render: Callable[[tuple[Turn, ...]], str] = lru_cache(REMEMBERED)(self._render)
        self.count: Callable[[str], int] = lru_cache(REMEMBERED)(self._count)
        self.decode: Decode = joined(self._bytes, model_dir) or self._decode

    def spell(self, token: int) -> tuple[str, bytes]:
        """One token alone, control tokens included; its text has U+FFFD where its bytes are part of a character."""
        text = str(self._tokenizer.decode([token], skip_special_tokens=False))
        known = self._bytes.get(token, b"")
        return (text, known) if REPLACEMENT in text or not text else (text, text.encode())

    def _render(self, turns: tuple[Turn, ...]) -> str:
        history = [{"role": role, "content": text} for role, text in turns]
        return str(self._tokenizer.apply_chat_template(history, True))

    def _count(self, text: str) -> int:
        return int(self._tokenizer.encode(text, add_special_tokens=False).input_ids.shape[1])

    def _decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True)) if tokens else ""


def joined(vocabulary: Mapping[int, bytes], model_dir: Path) -> Decode | None:
    """How a byte-level tokenizer decodes: its tokens' bytes in a row. None for one of another kind."""
    declared = read_json(model_dir / "tokenizer.json")
    decoder = declared.child("decoder")
    if decoder is None or decoder.get("type") != "ByteLevel":
        return None
    added = [token for token in declared.items("added_tokens") or [] if isinstance(token, dict)]
    special = {token.get("id") for token in added if token.get("special")}
    plain = {token: data for token, data in vocabulary.items() if token not in special}
    return lambda tokens: b"".join(plain.get(token, b"") for token in tokens).decode("utf-8", "replace")
