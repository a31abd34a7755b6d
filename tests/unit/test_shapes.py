"""Drawn pictures and their questions: seeds are stable, truths are true, answers are counted fairly."""

import hashlib
import json
import math
from collections import Counter
from random import Random

import pytest
from PIL import Image

from pronk.demo.scene import COLORS, SHAPES, plural
from pronk.demo.shapes import (
    BLIND,
    CATEGORY_QUESTION,
    FORMS,
    JSON_QUESTION,
    OTHERS,
    REFUSAL,
    WORDS_QUESTION,
    Question,
    Scene,
    ask,
    category_of,
    draw,
    paint,
    questions,
    score,
)

RED = Scene("circle", "red", 3)
BLUE = Scene("star", "blue", 1)


def digest(picture: Image.Image) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


def test_a_seed_names_a_picture() -> None:
    one, other, third = draw(Random(5)), draw(Random(5)), draw(Random(6))
    assert digest(one[0]) == digest(other[0]) != digest(third[0])
    assert one[1] == other[1]


def test_pictures_are_rgb_of_several_sizes_and_aspects() -> None:
    drawn = [draw(Random(seed))[0] for seed in range(60)]
    assert {picture.mode for picture in drawn} == {"RGB"}
    assert all(96 <= min(picture.size) <= 320 for picture in drawn)
    assert len({round(picture.width / picture.height, 1) for picture in drawn}) >= 5


def test_every_shape_color_and_count_is_drawn() -> None:
    scenes = [draw(Random(seed))[1] for seed in range(120)]
    assert {scene.shape for scene in scenes} == set(SHAPES)
    assert {scene.color for scene in scenes} == set(COLORS)
    assert Counter(scene.count for scene in scenes).keys() == {1, 2, 3, 4}


@pytest.mark.parametrize("count", [1, 4])
def test_a_picture_shows_its_color_in_the_central_square(count: int) -> None:
    picture = paint(Scene("square", "red", count), Random(11))
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    near = reddish(picture.crop((left, top, left + side, top + side)))
    assert near > 0.02 * side * side
    assert reddish(picture) == near


def reddish(picture: Image.Image) -> int:
    """How many pixels are near to red."""
    pixels = zip(*[iter(picture.tobytes())] * 3, strict=True)
    return sum(math.dist(pixel, COLORS["red"]) < 80 for pixel in pixels)


def test_every_form_answers_its_own_truth() -> None:
    for seed in range(100):
        rng = Random(seed)
        scenes = [draw_scene(rng), draw_scene(rng)]
        for shown in ([], scenes[:1], scenes):
            for question in questions(rng, *shown):
                assert question.pictures == len(shown)
                assert score(question.answer(*shown), shown, question), question


def draw_scene(rng: Random) -> Scene:
    return Scene(rng.choice(SHAPES), rng.choice(tuple(COLORS)), rng.randint(1, 4))


def test_a_form_has_many_wordings() -> None:
    for forms in (FORMS[1][:4], FORMS[2][:1]):
        for form in forms:
            texts = {ask(Random(seed), form, RED, BLUE).text for seed in range(300)}
            assert len(texts) > 25, form


def test_no_wording_leaves_a_hole() -> None:
    names = ("{it", "{nth}", "{list}", "{shape}", "{shapes}", "{color}", "{count}", "{fields}")
    for seed in range(150):
        for question in questions(Random(seed), RED) + questions(Random(seed), RED, BLUE):
            assert not any(name in question.text for name in names), question.text


@pytest.mark.parametrize("form", ["category", "category_rest"])
def test_a_category_question_lists_the_true_category_or_one_for_the_rest(form: str) -> None:
    for seed in range(200):
        question = ask(Random(seed), form, RED)
        answer = json.loads(question.answer(RED))["category"]
        assert answer in question.categories
        assert form == "category_rest" or answer.lower() not in OTHERS
        listed = question.text + (question.system or "")
        assert answer in listed or question.categories == SHAPES


@pytest.mark.parametrize(
    ("categories", "expected"),
    [
        (("square", "circle"), "circle"),
        (("Blue Circles", "Red Circles"), "Red Circles"),
        (("one object", "three objects"), "three objects"),
        (("blue", "green", "other"), "other"),
        (("blue", "green"), "other"),
    ],
)
def test_category_of_takes_what_is_true_in_every_word(categories: tuple[str, ...], expected: str) -> None:
    assert category_of(RED, categories) == expected


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        (JSON_QUESTION, '{"shape": "circle", "color": "red", "count": 3}', True),
        (JSON_QUESTION, '{\n  "count":3, "color":"red","shape":"circle"}', True),
        (JSON_QUESTION, '{"shape": "circle", "color": "red", "count": 2}', False),
        (JSON_QUESTION, '{"shape": "circle", "color": "red"', False),
        (JSON_QUESTION, 'Sure! {"shape": "circle", "color": "red", "count": 3}', False),
        (CATEGORY_QUESTION, '{"category": "circle"}', True),
        (CATEGORY_QUESTION, '{"category": "square"}', False),
        (WORDS_QUESTION, "there are three red circles", True),
        (WORDS_QUESTION, "There are four red circles.", False),
        (Question("field", "How many?", fields=("count",)), "3", True),
        (Question("field", "How many stars?", fields=("count",), claim=(("shape", "star"),)), "0", True),
        (Question("check", "Is it red?", claim=(("color", "red"),)), "Yes", True),
        (Question("check", "Is it blue?", claim=(("color", "blue"),)), "Yes", False),
    ],
)
def test_answers_are_scored_exactly(question: Question, answer: str, *, right: bool) -> None:
    assert score(answer, RED, question) is right


def test_two_pictures_keep_their_order() -> None:
    question = ask(Random(1), "pair_json", RED, BLUE)
    truth = question.answer(RED, BLUE)
    assert [entry["color"] for entry in json.loads(truth)] == ["red", "blue"]
    assert not score(truth, (BLUE, RED), question)


def test_what_cannot_be_answered_is_said() -> None:
    assert ask(Random(1), "refusal", RED).answer(RED) == REFUSAL
    assert ask(Random(1), "blind").answer() == BLIND


@pytest.mark.parametrize(("shape", "many"), [("circle", "circles"), ("cross", "crosses")])
def test_plurals(shape: str, many: str) -> None:
    assert plural(shape) == many
