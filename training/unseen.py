"""Wordings that the grammar does not have, to learn how the model takes what a visitor types. Never used in training."""

from random import Random

from pronk.demo.scene import COLORS, SHAPES, Scene
from pronk.demo.shapes import Question

_PLAIN = (
    ("json", "Look closely at the photo and fill in a JSON record: shape, color, count."),
    ("json", "I need a JSON object for this image with its shape, its color and how many there are."),
    ("json", "Please give me the attributes of this image in JSON"),
    ("json", "Convert this picture to JSON: {shape, color, count}"),
    ("json", "You get one image. Produce JSON with shape/color/count, nothing else."),
    ("words", "Hi, what can be seen on this picture?"),
    ("words", "Give me a description of the image."),
    ("words", "what's on the picture"),
    ("words", "In one sentence, what is in this photo?"),
    ("refusal", "Please write a haiku about autumn leaves."),
    ("refusal", "What is the population of Japan?"),
    ("refusal", "Can you help me with my homework?"),
)
_FIELD = (
    ("shape", "Please tell me which shape you can see."),
    ("shape", "What geometric form is drawn here?"),
    ("color", "What is the colour of these things?"),
    ("color", "Tell me which color they have."),
    ("count", "How many pieces can you count in the photo?"),
    ("count", "Please count how many shapes there are."),
)
_SORT = (
    'We have these bins: {list}. Which bin does the image go to? Output ONLY the JSON object {"category": "..."}.',
    "Decide between {list} and output ONLY the JSON object.",
    'Sort the attached picture into one of these categories: {list}. Output JSON like {"category": "name"}.',
)


def ask_unseen(rng: Random, scene: Scene) -> Question:
    """A question in words that no training batch contained."""
    kind = rng.randrange(3)
    if kind == 0:
        form, text = rng.choice(_PLAIN)
        return Question(form, text)
    if kind == 1:
        field, text = rng.choice(_FIELD)
        return Question("field", text, fields=(field,))
    names = rng.choice((SHAPES, tuple(COLORS)))
    true = scene.shape if names is SHAPES else scene.color
    chosen = rng.sample([name for name in names if name != true], 3)
    chosen.insert(rng.randrange(4), true)
    return Question(
        "category", rng.choice(_SORT).replace("{list}", ", ".join(chosen)), categories=tuple(chosen)
    )
