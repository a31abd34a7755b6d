"""Values, bins and groups say how many lines a click would show, for every filter; and a click shows exactly those."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.console.lines import index_of

from pronk.console.index import distributions, groups, queries
from pronk.console.index.distributions import BINS, TOP
from pronk.console.index.filters import Filter, chosen
from pronk.console.index.shelf import Index
from pronk.console.index.typed import read_typed

pytestmark = pytest.mark.anyio
WANTED = (
    "",
    "bucket:b1",
    "field.shape:star bucket:b1",
    "field.score<20 engine_ms>100",
    "prompt~9",
    "code:none",
)


def lines(count: int = 240) -> list[dict[str, Any]]:
    found = []
    for number in range(count):
        facts = {"engine_ms": number % 97 * 3 + 100, "fetch_ms": 5, "replica": f"http://gpu-{number % 3}"}
        line: dict[str, Any] = {
            "prompt": f"no. {number}",
            "ref": f"s3://b{number % 4}/p{number % 12}/{number}.png",
            "facts": facts,
            "tokens": (number, 7),
        }
        if number % 11 == 5:
            line |= {"code": ["timeout", "image_invalid"][number % 2], "message": "no"}
        else:
            fields = {
                "shape": ["circle", "star", "square"][number % 3],
                "score": number / 7,
                "rank": number % 40 - 20,
                "id": f"x{number}",
            }
            line["answer"] = json.dumps(fields | ({"note": "odd"} if number % 2 else {}))
        found.append(line)
    return found


@pytest.fixture(params=[False, True], ids=["joined", "settled"])
async def index(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    made = await index_of(tmp_path, lines())
    if request.param:
        await made.table.settle()
    yield made
    made.table.close()


async def count(index: Index, wanted: Filter) -> int:
    return len(await queries.numbers(index, wanted))


async def test_every_value_and_bin_shows_as_many_lines_as_it_says(index: Index) -> None:
    for text in WANTED:
        await check_spreads(index, read_typed(text))


async def check_spreads(index: Index, wanted: Filter) -> None:
    heads = await distributions.heads(
        index,
        wanted,
        ["code", "field.shape", "field.score", "field.rank", "field.note", "output_tokens", "engine_ms"],
    )
    for one in (*await distributions.facets(index, wanted), *heads):
        rest = wanted.without(one.name)
        for value in one.values:
            assert await count(index, rest.toggled(one.name, value.value)) == value.count, (one.name, value)
        for bin in one.bins:  # noqa: A001
            assert await count(index, rest.plus(*bin.terms(one.name))) == bin.count, (one.name, bin)
        if one.bins:
            assert len(one.bins) <= BINS
            assert sum(bin.count for bin in one.bins) == one.count  # noqa: A001
        assert len(one.values) <= TOP


async def test_values_are_the_most_frequent_and_numbers_come_in_ten_bins(index: Index) -> None:
    found = {one.name: one for one in await distributions.facets(index, Filter())}
    made = [json.loads(line["answer"]) for line in lines() if "answer" in line]
    shapes = Counter(one["shape"] for one in made)
    assert {value.value: value.count for value in found["field.shape"].values} == shapes
    assert (found["prefix"].kinds, len(found["prefix"].values)) == (12, TOP)
    assert "field.note" not in found
    score = found["field.score"]
    assert (len(score.bins), score.count) == (BINS, len(made))
    assert (score.bins[0].low, score.bins[-1].high) == (
        min(one["score"] for one in made),
        max(one["score"] for one in made),
    )
    rank = found["field.rank"]
    assert [(bin.low, bin.high) for bin in rank.bins][:2] == [(-20, -16), (-16, -12)]  # noqa: A001
    assert "field.id" not in found
    assert "fetch_ms" not in found


async def test_whole_numbers_get_bins_of_their_own() -> None:
    cut = distributions._cut
    assert cut(0, 9, 10, 0)[-1] == (9, 9, True)
    assert cut(5, 5, 3, 0) == [(5, 5, True)]
    assert cut(None, None, 0, 0) == []
    assert [low for low, _, _ in cut(1, 21, 9, 0)] == [1, 4, 7, 10, 13, 16, 19]
    broken = cut(0.0, 1.0, 9, 2)
    assert [high for _, high, _ in broken] == [*(low for low, _, _ in broken[1:]), 1.0]
    assert len(broken) == BINS


async def test_groups_hold_every_line_of_the_filter_once(index: Index) -> None:
    for text in WANTED:
        for name in ["field.shape", "field.note", "code", "prefix"]:
            await check_groups(index, read_typed(text), name)


async def check_groups(index: Index, wanted: Filter, name: str) -> None:
    found = await groups.groups(index, wanted, name)
    rest = wanted.without(name)
    assert sum(group.count for group in found) == await count(index, rest)
    assert len({group.value for group in found}) == len(found)
    seen: list[int] = []
    for place, group in enumerate(found):
        shown = rest.plus(group.term)
        numbers = await queries.numbers(index, shown)
        assert len(numbers) == group.count
        assert groups.place_in(await groups.groups(index, shown, name), shown) == place
        seen += numbers
    assert sorted(seen) == list(await queries.numbers(index, rest))
    known = [group.count for group in found if group.value is not None]
    assert known == sorted(known, reverse=True)
    assert all(group.value is not None for group in found[:-1])


async def test_a_filter_on_no_single_group_has_no_place(index: Index) -> None:
    found = await groups.groups(index, Filter(), "code")
    assert groups.place_in(found, Filter()) is None
    assert groups.place_in(found, chosen("code", "none")) is None
