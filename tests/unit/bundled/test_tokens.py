"""The tokenizer as the server uses it agrees with the library's own, call by call."""

import random
from pathlib import Path

import pytest

from pronk.engines.bundled import shipped_model
from pronk.engines.bundled.tokens import Tokens, joined

FOLDER = shipped_model()


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens(FOLDER)


def without_broken(text: str) -> str:
    return text.replace("\N{REPLACEMENT CHARACTER}", "")


def test_joining_bytes_is_decoding(tokens: Tokens) -> None:
    """But for how many U+FFFD stand for bytes that are no character."""
    chance = random.Random(1)
    known = sorted(tokens._bytes)
    for _ in range(300):
        some = chance.choices(known, k=12)
        assert without_broken(tokens.decode(some)) == without_broken(tokens._decode(some))


def test_text_survives(tokens: Tokens) -> None:
    for text in ("What color is it?", '{"color": "red"}', "größer 😀 \n\t ok"):
        encoded = tokens._tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist()
        assert (tokens.decode(encoded), tokens.count(text)) == (text, len(encoded))


def test_numbers_beyond_the_vocabulary_are_nothing(tokens: Tokens) -> None:
    assert tokens.decode([10**6]) == ""


def test_control_tokens_are_not_text(tokens: Tokens) -> None:
    end = tokens._tokenizer.get_eos_token_id()
    assert tokens.decode([end]) == ""
    assert tokens.spell(end)[0] == "<|im_end|>"


def test_a_turn_is_templated(tokens: Tokens) -> None:
    assert tokens.render((("user", "hi"),)) == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_other_kinds_of_tokenizers_decode_themselves(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"decoder": {"type": "Metaspace"}}')
    assert joined({}, tmp_path) is None
    assert joined({}, tmp_path / "none") is None
