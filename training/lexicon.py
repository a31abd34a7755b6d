"""The tokenizer: a byte-level BPE of 512 entries, learnt from the question and answer grammar, with ChatML around each turn."""

import json
from collections.abc import Iterable
from pathlib import Path

from network import MAX_POSITIONS, VOCABULARY
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

PAD, START, END, IMAGE = "<|pad|>", "<|im_start|>", "<|im_end|>", "<image>"
SPECIAL = (PAD, START, END, IMAGE)

# A message's content is a string or a list of parts. An image part is the tag and a newline, whichever form it comes in.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% else %}{{ '<image>\\n' }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def learn(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer for `texts` that can still spell anything, byte by byte."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `tokenizer.json`, its configuration and the chat template, in the form every engine reads."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "chat_template": CHAT_TEMPLATE,
                "pad_token": PAD,
                "eos_token": END,
                "image_token": IMAGE,
                "additional_special_tokens": [START, IMAGE],
                "model_max_length": MAX_POSITIONS,
                "clean_up_tokenization_spaces": False,
                "processor_class": "LlavaProcessor",
            },
            indent=2,
        )
    )
