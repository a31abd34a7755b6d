"""A filter is one thing, however it is given: typed, as an address, as chips; and it means what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams
from tests.console.lines import index_of

from pronk.console.index import distributions, groups, queries
from pronk.console.index.columns import DIMENSIONS, NUMBERS
from pronk.console.index.filters import COMPARED, KNOWN, Filter, Term
from pronk.console.index.typed import read_filter, read_typed, write_term, write_typed
from pronk.domain.errors import InvalidRequestError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PATHS = TEXT.filter(bool).map(lambda path: f"field.{path}")
NUMBER = st.one_of(st.integers(-(10**12), 10**12), st.floats(allow_nan=False, allow_infinity=False)).map(str)


@st.composite
def terms(draw: st.DrawFn) -> Term:
    sign = draw(st.sampled_from(sorted(KNOWN)))
    name = draw(st.one_of(st.sampled_from(KNOWN[sign]), PATHS))
    if sign in {"has", "lacks"}:
        return Term(name, sign)
    is_number = sign in COMPARED or (name in NUMBERS and name not in DIMENSIONS)
    value = draw(NUMBER if is_number else TEXT if name.startswith("field.") else TEXT.filter(bool))
    return Term(name, sign, value)


FILTERS = st.builds(Filter, st.lists(terms(), max_size=8, unique=True).map(tuple), TEXT.map(str.strip))


@given(FILTERS)
def test_every_filter_comes_back_from_its_text_and_from_its_address(wanted: Filter) -> None:
    assert read_typed(write_typed(wanted)) == wanted
    assert read_filter(QueryParams(wanted.address())) == wanted
    assert read_filter(QueryParams({"filter": write_typed(wanted)})) == wanted


@given(TEXT)
def test_whatever_is_typed_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        found = read_typed(text)
    except InvalidRequestError as error:
        found, told = Filter(), error.message
    else:
        told = "from character"
    assert "from character" in told
    assert read_typed(write_typed(found)) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("colour:red", "there is no 'colour' to filter by"),
        ("codes:timeout", "did you mean 'code'"),
        ("code:x output_token>=5", "from character 8 on: there is no 'output_token' to filter by; did you mean 'output_tokens'"),
        ("output_tokens>=many", "'many' is not a number, which 'output_tokens' >= takes"),
        ("output_tokens:nan", "'nan' is not a number, which 'output_tokens' is"),
        ("code>=5", "'code' cannot be asked for that way"),
        ('answer~"round', "from character 8 on: a quote is not closed"),
        ("-output_tokens>=5", "'-' goes with ':' only"),
        ("has:", "there is no '' to filter by"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_where_and_what_would_be_right(text: str, told: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_typed(text)
    assert told in caught.value.message


@pytest.mark.parametrize(
    "text", ["s3://bucket/key.png", "plain words", '"code:timeout"', "a - b", "-5", "~", '"a b"']
)
def test_words_are_looked_for_as_they_are(text: str) -> None:
    assert read_typed(text) == Filter((), text.strip('"'))


def test_an_address_with_what_a_name_cannot_be_is_refused_and_an_unknown_name_is_left_out() -> None:
    for query in ("min.bytes=big", "over.code=1", "in.bucket=x", "is.line=x"):
        with pytest.raises(InvalidRequestError):
            read_filter(QueryParams(query))
    assert read_filter(QueryParams("colour=red&line=5&min.colour=1&has=colour&view=grid&code=")) == Filter()
    with pytest.raises(InvalidRequestError, match="at most 20"):
        read_filter(QueryParams([("code", str(number)) for number in range(21)]))


SHAPES = ("circle", "star", "", "null", "Long word", 'say "hi"', "1e3", "nan", "50%")


def lines() -> list[dict[str, Any]]:
    found = []
    for number in range(90):
        line: dict[str, Any] = {"prompt": f"What is {number}?", "tokens": (number, 200 - number)}
        if number % 3:
            line["ref"] = f"s3://b{number % 2}/in/{number}.{'png' if number % 4 else 'JPG'}"
            line["facts"] = {
                "engine_ms": number * 7,
                "media": [{"bytes": number * 50_000, "type": "image/png"}],
            }
        if number % 10 == 7:
            line |= {"code": "timeout" if number % 20 == 7 else "image_invalid", "message": f"No. {number}"}
        else:
            fields: dict[str, Any] = {"shape": SHAPES[number % len(SHAPES)]}
            if number % 2:
                fields |= {"score": number / 8, "box": {"x": number, "w": None}}
            line["answer"] = json.dumps(fields)
        found.append(line)
    return found


def answered(name: str, test: Callable[[Any], bool]) -> Callable[[dict[str, Any]], bool]:
    """Whether a field of an answer passes; a line without it does not."""

    def holds(line: dict[str, Any]) -> bool:
        fields = json.loads(line.get("answer") or "{}")
        return name in fields and test(fields[name])

    return holds


MEANINGS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "state:failed": lambda line: "code" in line,
    "-state:failed": lambda line: "code" not in line,
    "code:timeout": lambda line: line.get("code") == "timeout",
    "code:timeout code:image_invalid": lambda line: "code" in line,
    "-code:timeout": lambda line: line.get("code") != "timeout",
    "-code:timeout -code:image_invalid": lambda line: "code" not in line,
    "has:code": lambda line: "code" in line,
    "-has:code": lambda line: "code" not in line,
    "has:bucket": lambda line: "ref" in line,
    "-has:bytes": lambda line: not line.get("facts"),
    "bucket:b0 ending:jpg": lambda line: line.get("ref", "").endswith(".JPG") and "//b0/" in line["ref"],
    "custom_id:r7": lambda line: line["prompt"] == "What is 6?",
    "custom_id~R7": lambda line: line["prompt"] == "What is 6?" or line["prompt"].startswith(tuple(f"What is {n}?" for n in range(69, 79))),
    "input_tokens>=50": lambda line: "code" not in line and line["tokens"][0] >= 50,
    "input_tokens>50": lambda line: "code" not in line and line["tokens"][0] > 50,
    "input_tokens<=50": lambda line: "code" not in line and line["tokens"][0] <= 50,
    "input_tokens<50.5": lambda line: "code" not in line and line["tokens"][0] <= 50,
    "input_tokens:50": lambda line: "code" not in line and line["tokens"][0] == 50,
    "input_tokens:50 input_tokens:5e1 input_tokens:51": lambda line: "code" not in line and line["tokens"][0] in {50, 51},
    "bytes>=100000 bytes<200000": lambda line: bool(line.get("facts")) and 100_000 <= line["facts"]["media"][0]["bytes"] < 200_000,
    'bytes:"100 kB to 1 MB"': lambda line: bool(line.get("facts")) and 100_000 <= line["facts"]["media"][0]["bytes"] < 1_000_000,
    "bytes:350000": lambda line: bool(line.get("facts")) and line["facts"]["media"][0]["bytes"] == 350_000,
    "field.shape:circle": answered("shape", lambda value: value == "circle"),
    "field.shape:circle field.shape:star": answered("shape", lambda value: value in {"circle", "star"}),
    'field.shape:""': answered("shape", lambda value: value == ""),
    'field.shape:"say \\"hi\\""': answered("shape", lambda value: value == 'say "hi"'),
    "field.shape~LONG": answered("shape", lambda value: value == "Long word"),
    "field.shape~%": answered("shape", lambda value: value == "50%"),
    "field.shape>=0": answered("shape", lambda value: value == "1e3"),
    "field.score>2.125 field.score<=9": answered("score", lambda value: 2.125 < value <= 9),
    "has:field.score": answered("score", lambda _: True),
    "-has:field.score": lambda line: "score" not in json.loads(line.get("answer") or "{}"),
    "field.box.x>=80": answered("box", lambda value: value["x"] >= 80),
    "field.box.w:null": answered("box", lambda _: True),
    "-field.shape:circle has:field.shape": answered("shape", lambda value: value != "circle"),
    "answer~circle": answered("shape", lambda value: value == "circle"),
    "prompt~'; DROP TABLE lines": lambda _: False,
    '"WHAT IS 4"': lambda line: line["prompt"].startswith("What is 4"),
    "reference~b0/in": lambda line: "//b0/in" in line.get("ref", ""),
    'message~"No. 17"': lambda line: line.get("message") == "No. 17",
    "mark:good": lambda line: line["tokens"][0] in {4, 7},
    "-mark:good has:mark": lambda line: line["tokens"][0] == 9,
    "region:eu-west-1": lambda line: "//b0/" in line.get("ref", ""),
}  # fmt: skip


async def region_of(bucket: str) -> str | None:
    return {"b0": "eu-west-1"}.get(bucket)


@pytest.mark.anyio
async def test_marks_and_regions_are_told_apart_as_they_are_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributions, "SECONDS", 120.0)
    index = await index_of(tmp_path, lines())
    for marks in ({5: "good", 8: "bad"}, {5: "bad"}, {}):
        await index.learn(marks, region_of)
        found = {
            one.name: {each.value: each.count for each in one.values}
            for one in await distributions.facets(index, read_typed(""))
        }
        counts = {mark: list(marks.values()).count(mark) for mark in marks.values()}
        assert found.get("mark", {}) == counts
        for mark in ("good", "bad"):
            marked = [line for line, one in marks.items() if one == mark]
            assert list(await queries.numbers(index, read_typed(f"mark:{mark}"))) == marked
    assert {one.value: one.count for one in await groups.groups(index, read_typed(""), "region")} == {
        "eu-west-1": 30,
        None: 60,
    }
    index.table.close()


@pytest.mark.anyio
async def test_each_operator_means_what_it_says(tmp_path: Path) -> None:
    made = lines()
    index = await index_of(tmp_path, made)
    await index.learn({5: "good", 8: "good", 10: "bad"}, region_of)
    for settled in (False, True):
        if settled:
            index.known.clear()
            await index.table.settle()
        for text, holds in MEANINGS.items():
            expected = [number for number, line in enumerate(made, 1) if holds(line)]
            assert list(await queries.numbers(index, read_typed(text))) == expected, text
            assert expected or "DROP" in text, text
    used = {term.sign for text in MEANINGS for term in read_typed(text).terms}
    assert used == set(KNOWN)
    index.table.close()


def test_a_chip_is_the_text_of_its_condition() -> None:
    wanted = read_typed('-code:timeout output_tokens>=5 "two words" field.shape:circle')
    assert " ".join([*map(write_term, wanted.terms), '"two words"']) == write_typed(wanted)
    assert wanted.less(wanted.terms[1]) == read_typed('-code:timeout "two words" field.shape:circle')
