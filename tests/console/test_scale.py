"""Facets, columns and groups of fifty thousand lines, on a machine that does nothing else (``make test-scale``)."""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from statistics import median

import pytest
from tests.console.lines import index_of

from pronk.console.index import distributions, groups, queries
from pronk.console.index.shelf import Index
from pronk.console.index.typed import read_typed

pytestmark = [pytest.mark.anyio, pytest.mark.scale]
COUNT = 50_000
FACETS_SECONDS = 0.1
COLUMNS = (
    "code",
    "field.shape",
    "field.score",
    "field.box.x",
    "field.n",
    "output_tokens",
    "engine_ms",
    "bytes",
)
FILTERS = ("", "state:failed", "bucket:b1", "field.shape:star", "field.score>=0.25 field.score<0.75", "output_tokens>=100 -bucket:b2", "answer~word77")  # fmt: skip


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def index(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Index]:
    chance = random.Random(1)
    words = [f"word{number}" for number in range(500)]

    def line(number: int) -> dict[str, object]:
        facts = {"engine_ms": chance.randint(100, 9000), "fetch_ms": chance.randint(1, 300), "replica": f"http://gpu-{number % 8}", "media": [{"bytes": chance.randint(10_000, 6_000_000), "type": "image/png"}]}  # fmt: skip
        known: dict[str, object] = {"prompt": " ".join(chance.choices(words, k=30)), "ref": f"s3://b{number % 4}/dir{number % 40}/{number}.png", "facts": facts, "tokens": (chance.randint(50, 900), chance.randint(5, 300))}  # fmt: skip
        if number % 25 == 0:
            return known | {
                "code": chance.choice(["image_not_found", "timeout", "image_invalid"]),
                "message": "no such object",
            }
        fields = {"shape": chance.choice(["circle", "star", "square"]), "n": number, "score": round(chance.random(), 3), "box": {"x": chance.randint(0, 99)}, "text": " ".join(chance.choices(words, k=40))}  # fmt: skip
        return known | {"answer": json.dumps(fields)}

    made = await index_of(tmp_path_factory.mktemp("scale"), map(line, range(COUNT)))
    await made.table.settle()
    yield made
    made.table.close()


async def milliseconds(index: Index, work: Callable[[], Awaitable[object]]) -> float:
    """The median of five, each as for a filter that nobody had; what is known of all lines was asked before."""
    taken = []
    for _ in range(5):
        for key in [
            key for key in index.known if isinstance(key, tuple) and key[0] not in {"fields", "cuts"}
        ]:
            del index.known[key]
        start = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - start)
    return 1000 * median(taken)


async def test_facets_of_every_filter_take_a_tenth_of_a_second(index: Index) -> None:
    slow = {}
    await distributions.facets(index, read_typed(""))
    for text in FILTERS:
        wanted = read_typed(text)
        for what, work in {
            "facets": lambda wanted=wanted: distributions.facets(index, wanted),
            "columns": lambda wanted=wanted: distributions.heads(index, wanted, COLUMNS),
            "groups": lambda wanted=wanted: groups.groups(index, wanted, "field.shape"),
            "numbers": lambda wanted=wanted: queries.numbers(index, wanted),
        }.items():
            taken = await milliseconds(index, work)
            print(f"{what:8} {taken:6.1f} ms  {text}")  # noqa: T201 - the figures are what one runs it for
            if taken > 1000 * FACETS_SECONDS:
                slow[what, text] = taken
    assert slow == {}
