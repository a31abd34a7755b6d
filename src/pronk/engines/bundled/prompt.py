"""From messages to the one string the engine is given, with what users wrote kept from acting as control tokens."""

import re
from collections.abc import Iterable

from pronk.engines.bundled.chat import Message, PicturePart

PICTURE_TAGS = r"<ov_genai_(?:image|video)_\d+>|<image>|<video>|<\|image_\d+\|>"
Turn = tuple[str, str]

PICTURE_TAG = re.compile(PICTURE_TAGS)


def control_pattern(special: Iterable[str]) -> re.Pattern[str]:
    """Everything in user text that the engine would read as a control token or a picture's place."""
    words = sorted((re.escape(word) for word in special if len(word) > 1), key=len, reverse=True)
    return re.compile("|".join([PICTURE_TAGS, *words]))


def neutralised(text: str, control: re.Pattern[str]) -> str:
    """`text` with each control string broken after its first character, so that it is plain text to the model."""
    while control.search(text):
        text = control.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
    return text


def picture_tag(index: int) -> str:
    """The place of picture `index` of the request; the engine itself writes a newline after it."""
    return f"<ov_genai_image_{index}>"


def flatten(
    messages: Iterable[Message], control: re.Pattern[str], *, pictures_first: bool
) -> tuple[Turn, ...]:
    """Each message's parts as one string; pictures are numbered through the conversation, in the order given."""
    turns = []
    count = 0
    for message in messages:
        pieces: list[tuple[bool, str]] = []
        for part in message.parts:
            if isinstance(part, PicturePart):
                pieces.append((True, picture_tag(count)))
                count += 1
            else:
                pieces.append((False, neutralised(part, control)))
        if pictures_first:
            pieces.sort(key=lambda piece: not piece[0])
        turns.append((message.role, joined(pieces)))
    return tuple(turns)


def joined(pieces: list[tuple[bool, str]]) -> str:
    """A newline after text that something follows; none after a picture, where the engine writes it."""
    last = len(pieces) - 1
    return "".join(
        text if is_picture or index == last else text + "\n"
        for index, (is_picture, text) in enumerate(pieces)
    )


def without_tags(prompt: str) -> str:
    """What of a prompt is text: pictures are counted apart."""
    return PICTURE_TAG.sub("", prompt)
