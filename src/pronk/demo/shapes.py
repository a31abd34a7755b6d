"""Questions about drawn pictures with their true answers, so that a model's answers can be counted right or wrong.

picture, scene = draw(Random(7))
for question in questions(Random(7), scene): ...
score(text_of_the_model, scene, question)
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from pronk.demo import wordings
from pronk.demo.scene import COLORS, COUNTS, SHAPES, Scene, draw, imagine, paint, plural

__all__ = [
    "BLIND",
    "CATEGORY_QUESTION",
    "FORMS",
    "JSON_QUESTION",
    "REFUSAL",
    "WORDS_QUESTION",
    "Question",
    "Scene",
    "ask",
    "draw",
    "paint",
    "questions",
    "score",
]

FIELDS = ("shape", "color", "count")
NUMBERS = ("zero", "one", "two", "three", "four")
REFUSAL = "I can only answer questions about drawn shapes."
BLIND = "Please attach a picture of drawn shapes."
OTHERS = ("other", "none", "unknown")

Claim = tuple[tuple[str, str | int], ...]


@dataclass(frozen=True)
class Question:
    """One question, and the rule by which its true answer follows from what the pictures show.

    `form` names the rule, `fields` what is wanted, `categories` the list to sort into (as written in the text), `claim` what
    the question supposes, `nth` which of two pictures it is about. `pictures` come before the text unless `text_first`.
    """

    form: str
    text: str
    system: str | None = None
    pictures: int = 1
    text_first: bool = False
    fields: tuple[str, ...] = FIELDS
    categories: tuple[str, ...] = ()
    claim: Claim = ()
    nth: int = 0

    def answer(self, *scenes: Scene) -> str:
        """The true answer for the pictures of the request, in order, as the model is taught to give it."""
        return _RULES[self.form](self, scenes)


JSON_QUESTION = Question(
    "json", 'Describe the picture as a JSON object with the keys "shape", "color" and "count".'
)
CATEGORY_QUESTION = Question(
    "category",
    f"Cluster the image to its matching category from the provided category list: {', '.join(SHAPES)}. "
    'Output ONLY the JSON object {"category": "..."}.',
    categories=SHAPES,
)
WORDS_QUESTION = Question("words", "What do you see in the picture?")


def score(answer: str, scene: Scene | Sequence[Scene], question: Question) -> bool:
    """Whether `answer` is exactly true: JSON is compared as data, words without regard to case and a final full stop."""
    scenes = (scene,) if isinstance(scene, Scene) else tuple(scene)
    return _comparable(answer) == _comparable(question.answer(*scenes))


def questions(rng: Random, *scenes: Scene) -> list[Question]:
    """One question of every form that suits the number of pictures."""
    return [ask(rng, form, *scenes) for form in FORMS[len(scenes)]]


def ask(rng: Random, form: str, *scenes: Scene) -> Question:
    """A question of this form in one of many wordings; the scenes make its categories and claims sensible."""
    question = _ASKERS[form](rng, scenes)
    if question.system is None and rng.random() < 0.25:
        question = replace(question, system=rng.choice(wordings.SYSTEM))
    text = question.text if question.categories else _spoken(rng, question.text)
    return replace(question, text=text, pictures=len(scenes), text_first=rng.random() < 0.2)


def category_of(scene: Scene, categories: Sequence[str]) -> str:
    """The first category all of whose words are true of `scene`, else the one that stands for the rest."""
    true = {scene.shape, scene.color, str(scene.count), NUMBERS[scene.count], "object", "shape"}
    true |= {plural(scene.shape), "objects", "shapes"}
    for category in categories:
        if set(category.lower().split()) <= true:
            return category
    return next((category for category in categories if category.lower() in OTHERS), OTHERS[0])


def _comparable(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip().removesuffix(".").casefold()


def _data(scene: Scene, fields: Sequence[str] = FIELDS) -> dict[str, Any]:
    return {field: getattr(scene, field) for field in fields}


def _phrase(scene: Scene) -> str:
    noun = scene.shape if scene.count == 1 else plural(scene.shape)
    return f"{NUMBERS[scene.count]} {scene.color} {noun}"


def _holds(scene: Scene, claim: Claim) -> bool:
    return all(getattr(scene, field) == value for field, value in claim)


def _answer_field(question: Question, scenes: Sequence[Scene]) -> str:
    scene = scenes[question.nth]
    return str(getattr(scene, question.fields[0])) if _holds(scene, question.claim) else "0"


def _answer_words(_: Question, scenes: Sequence[Scene]) -> str:
    verb = "is" if scenes[0].count == 1 else "are"
    return f"There {verb} {_phrase(scenes[0])}."


def _answer_pair_words(_: Question, scenes: Sequence[Scene]) -> str:
    return f"The first picture shows {_phrase(scenes[0])}, the second {_phrase(scenes[1])}."


def _answer_same(question: Question, scenes: Sequence[Scene]) -> str:
    return _yes(len({getattr(scene, question.fields[0]) for scene in scenes}) == 1)


def _answer_category(question: Question, scenes: Sequence[Scene]) -> str:
    return json.dumps({"category": category_of(scenes[0], question.categories)})


def _yes(truth: bool) -> str:  # noqa: FBT001 - the truth is the only argument
    return "Yes" if truth else "No"


_RULES: dict[str, Callable[[Question, Sequence[Scene]], str]] = {
    "json": lambda question, scenes: json.dumps(_data(scenes[0], question.fields)),
    "category": _answer_category,
    "category_rest": _answer_category,
    "field": _answer_field,
    "words": _answer_words,
    "check": lambda question, scenes: _yes(_holds(scenes[0], question.claim)),
    "pair_json": lambda _, scenes: json.dumps([_data(scene) for scene in scenes]),
    "pair_words": _answer_pair_words,
    "pair_field": _answer_field,
    "pair_same": _answer_same,
    "refusal": lambda _, __: REFUSAL,
    "blind": lambda _, __: BLIND,
}
_ONE_PICTURE = ("json", "category", "field", "words", "check", "category_rest", "refusal")
_TWO_PICTURES = ("pair_json", "pair_words", "pair_field", "pair_same")
FORMS = {0: ("blind", "refusal"), 1: _ONE_PICTURE, 2: _TWO_PICTURES}
"""The forms of questions that can be asked of no, one and two pictures."""


def _fill(rng: Random, template: str, **values: str) -> str:
    """Put values into a template; plain replacement, because templates show JSON with braces of its own."""
    values = {"it": rng.choice(wordings.IT), "it2": rng.choice(wordings.IT2), **values}
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)
    return template


def _spoken(rng: Random, text: str) -> str:
    """The same request as another person would type it."""
    if rng.random() < 0.12 and not text.endswith("?"):
        text = rng.choice(wordings.BEFORE) + text[0].lower() + text[1:]
    if rng.random() < 0.12:
        text = f"{text} {rng.choice(wordings.AFTER)}"
    if rng.random() < 0.12:
        text = text[:-1] if text[-1] in ".?!" else text
    return text.lower() if rng.random() < 0.12 else text


def _ask_json(rng: Random, _: Sequence[Scene]) -> Question:
    way = rng.random()
    if way < 0.2:
        fields = tuple(sorted(rng.sample(FIELDS, rng.choice((1, 2))), key=FIELDS.index))
        text = _fill(rng, rng.choice(wordings.SOME_FIELDS), fields=_joined(rng, fields))
        return Question("json", text, fields=fields)
    task = _fill(rng, rng.choice((*wordings.DESCRIBE, *wordings.EXTRACT)))
    if way < 0.35:
        return Question("json", task + rng.choice((".", "")), system=rng.choice(wordings.SYSTEM_JSON))
    if way < 0.6:
        return Question("json", f"{task.rstrip('?')} {rng.choice(wordings.AS_JSON)}.")
    if way < 0.85:
        keys = rng.choice(wordings.WITH_KEYS)
        return Question("json", f"{task.rstrip('?')} {rng.choice(wordings.AS_JSON)} {keys}.")
    first = rng.choice((task, task, _fill(rng, rng.choice(wordings.DESCRIBE_ASK))))
    return Question("json", f"{first}{'' if first.endswith('?') else '.'} {rng.choice(wordings.JSON_AFTER)}")


def _joined(rng: Random, fields: Sequence[str]) -> str:
    names = [rng.choice(("number of objects", "count")) if field == "count" else field for field in fields]
    return rng.choice((" and ", " and the ", ", ")).join(names)


def _ask_words(rng: Random, _: Sequence[Scene]) -> Question:
    template = rng.choice((*wordings.DESCRIBE_ASK, *wordings.DESCRIBE))
    text = _fill(rng, template)
    return Question("words", text if text.endswith("?") else text + ".")


def _ask_field(rng: Random, scenes: Sequence[Scene]) -> Question:
    field = rng.choice(FIELDS)
    if field == "count" and rng.random() < 0.35:
        return _ask_count_of(rng, scenes[0])
    text = _fill(rng, rng.choice(wordings.ASK_FIELD[field]))
    if rng.random() < 0.15:
        text = f"{text} {rng.choice(wordings.ONE_WORD)}"
    return Question("field", text, fields=(field,))


def _ask_count_of(rng: Random, scene: Scene) -> Question:
    template = rng.choice(wordings.COUNT_CLAIM)
    text, claim = _claimed(rng, template, scene, truth=rng.random() < 0.7)
    return Question("field", text, fields=("count",), claim=claim)


def _ask_check(rng: Random, scenes: Sequence[Scene]) -> Question:
    text, claim = _claimed(rng, rng.choice(wordings.CHECK), scenes[0], truth=rng.random() < 0.5)
    return Question("check", text, claim=claim)


def _claimed(rng: Random, template: str, scene: Scene, *, truth: bool) -> tuple[str, Claim]:
    """The template filled with a true claim, or with one that differs in at least one of its fields."""
    wanted = [field for field in FIELDS if "{" + field in template]
    values = _data(scene)
    if not truth:
        wrong = rng.choice(wanted)
        values[wrong] = rng.choice([v for v in _domain(wrong) if v != values[wrong]])
    text = _fill(
        rng,
        template,
        shape=values["shape"],
        shapes=plural(values["shape"]),
        color=values["color"],
        count=rng.choice((str(values["count"]), NUMBERS[values["count"]])),
    )
    return text.replace(" a orange", " an orange"), tuple((field, values[field]) for field in wanted)


def _domain(field: str) -> Sequence[str | int]:
    domains: dict[str, Sequence[str | int]] = {"shape": SHAPES, "color": tuple(COLORS), "count": COUNTS}
    return domains[field]


def _ask_category(rng: Random, scenes: Sequence[Scene]) -> Question:
    if rng.random() < 0.08:
        return Question("category", _fill(rng, rng.choice(wordings.SORT_BARE[:2])), categories=SHAPES)
    kind, names = _names(rng, scenes[0])
    return _ask_sorting(rng, "category", _styled(rng, kind, names))


def _ask_category_rest(rng: Random, scenes: Sequence[Scene]) -> Question:
    """A list with a name for the rest, which is right in half of the cases."""
    kind, names = _names(rng, scenes[0])
    kept = names[1:] if rng.random() < 0.5 else names
    return _ask_sorting(rng, "category_rest", _styled(rng, kind, [*kept, rng.choice(OTHERS)]))


def _ask_sorting(rng: Random, form: str, categories: tuple[str, ...]) -> Question:
    listed = _listed(rng, categories)
    if rng.random() < 0.25:
        system = _fill(rng, rng.choice(wordings.SORT_SYSTEM), list=listed)
        system = f"{system} {rng.choice(wordings.SORT_FORMAT)}".strip()
        text = _fill(rng, rng.choice(wordings.SORT_BARE))
        return Question(form, text, system=system, categories=categories)
    text = f"{_fill(rng, rng.choice(wordings.SORT), list=listed)} {rng.choice(wordings.SORT_FORMAT)}"
    return Question(form, text.strip(), categories=categories)


def _names(rng: Random, scene: Scene) -> tuple[str, list[str]]:
    """A kind of category and two to six names of it, the true one first."""
    kind = rng.choices(("shape", "color", "both", "count"), (45, 28, 20, 7))[0]
    true = _named(kind, scene)
    names = [name for name in (_named(kind, other) for other in _others(rng, scene)) if name != true]
    return kind, [true, *list(dict.fromkeys(names))[: rng.randint(1, 5)]]


def _styled(rng: Random, kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names in any order, some lists in the plural, some with capitals."""
    chosen = rng.sample(names, len(names))
    if kind in {"shape", "both"} and rng.random() < 0.15:
        chosen = [name if name in OTHERS else plural(name) for name in chosen]
    return tuple(name.title() for name in chosen) if rng.random() < 0.12 else tuple(chosen)


def _others(rng: Random, scene: Scene) -> list[Scene]:
    """Scenes that differ from `scene` in shape, color and count, or for two words in a single one of them."""
    made = [imagine(rng) for _ in range(10)]
    return [replace(scene, shape=made[0].shape), replace(scene, color=made[1].color), *made[2:]]


def _named(kind: str, scene: Scene) -> str:
    return {
        "shape": scene.shape,
        "color": scene.color,
        "both": f"{scene.color} {scene.shape}",
        "count": f"{NUMBERS[scene.count]} object{'s' if scene.count > 1 else ''}",
    }[kind]


def _listed(rng: Random, names: Sequence[str]) -> str:
    style = rng.randrange(8)
    if style < 4:
        return ", ".join(names)
    if style == 4:
        return json.dumps(list(names))
    if style == 5:
        return ", ".join(names[:-1]) + " or " + names[-1]
    return "\n" + "\n".join(f"- {name}" for name in names) + "\n" if style == 6 else " / ".join(names)


def _ask_pair_field(rng: Random, _: Sequence[Scene]) -> Question:
    field, nth = rng.choice(FIELDS), rng.randrange(2)
    text = _fill(rng, rng.choice(wordings.PAIR_FIELD[field]), nth=rng.choice(wordings.NTH[nth]))
    return Question("pair_field", text, fields=(field,), nth=nth)


def _ask_same(rng: Random, _: Sequence[Scene]) -> Question:
    field = rng.choice(FIELDS)
    return Question("pair_same", _fill(rng, rng.choice(wordings.PAIR_SAME[field])), fields=(field,))


def _ask_refusal(rng: Random, _: Sequence[Scene]) -> Question:
    if rng.random() < 0.7:
        return Question("refusal", rng.choice(wordings.REFUSED))
    words = rng.choices(wordings.NOISE_WORDS, k=rng.randint(2, 9))
    return Question("refusal", " ".join(words).capitalize() + rng.choice((".", "?", "")))


def _ask_blind(rng: Random, _: Sequence[Scene]) -> Question:
    scene = imagine(rng)
    about = _ASKERS[rng.choice(("json", "category", "field", "words", "check"))](rng, (scene,))
    return Question("blind", about.text, system=about.system, categories=about.categories)


_ASKERS: dict[str, Callable[[Random, Sequence[Scene]], Question]] = {
    "json": _ask_json,
    "category": _ask_category,
    "category_rest": _ask_category_rest,
    "field": _ask_field,
    "words": _ask_words,
    "check": _ask_check,
    "pair_json": lambda rng, _: Question("pair_json", _fill(rng, rng.choice(wordings.PAIR_JSON))),
    "pair_words": lambda rng, _: Question("pair_words", _fill(rng, rng.choice(wordings.PAIR_WORDS))),
    "pair_field": _ask_pair_field,
    "pair_same": _ask_same,
    "refusal": _ask_refusal,
    "blind": _ask_blind,
}
