"""What sets failed lines apart, on batches whose cause of failing was planted and is therefore known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pronk.console.index import apart
from pronk.console.index.shelf import Index
from pronk.console.index.table import Table

LINES = 3000
REGIONS = {"parts-a": "eu-west-1", "parts-b": "eu-west-1", "parts-c": "us-east-1", "parts-d": "us-east-1", "parts-e": "ap-south-1"}  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """A value that makes lines fail with a probability; the others fail with `noise`."""

    name: str
    value: str
    fails: float = 0.8
    noise: float = 0.02
    code: str = "image_not_found"


PLANTED = (
    Planted("bucket", "parts-c"),
    Planted("prefix", "parts-b/night"),
    Planted("region", "eu-west-1"),
    Planted("ending", "webp"),
    Planted("type", "image/gif", code="image_invalid"),
    Planted("bytes", "over 5 MB", code="image_too_large"),
    Planted("pictures", "7", code="engine_rejected"),
    Planted("replica", "gpu-3:8000", code="engine_unavailable"),
    Planted("minute", "22 Nov 10:04", code="engine_timeout"),
    Planted("replica", "gpu-1:8000", fails=0.12, noise=0.03),
    Planted("minute", "22 Nov 10:07", fails=1.0, noise=0.0),
)


def make_lines(planted: Planted, rng: Random) -> list[dict[str, Any]]:
    """Return lines whose dimensions are drawn by chance, and who fail as planted says."""
    made = []
    for number in range(1, LINES + 1):
        bucket = rng.choice(list(REGIONS))
        ending = rng.choice(("png", "png", "jpg", "webp"))
        line = {
            "line": number,
            "bucket": bucket,
            "region": REGIONS[bucket],
            "prefix": f"{bucket}/{rng.choice(('day', 'night', 'dusk'))}",
            "ending": ending,
            "type": rng.choice(("image/png", "image/jpeg", "image/gif")),
            "size_of": rng.choice((40_000, 400_000, 2_000_000, 9_000_000)),
            "pictures": rng.choice((1, 1, 2, 7)),
            "replica": f"gpu-{rng.randrange(4)}:8000",
            "ended_at": 1_795_341_600 + rng.randrange(600),
        }
        chance = planted.fails if shown(line)[planted.name] == planted.value else planted.noise
        made.append({**line, "code": planted.code if rng.random() < chance else None})
    return made


def shown(line: dict[str, Any]) -> dict[str, str]:
    """Return the values of a line as the page words them."""
    sizes = {
        40_000: "under 100 kB",
        400_000: "100 kB to 1 MB",
        2_000_000: "1 to 5 MB",
        9_000_000: "over 5 MB",
    }
    minute = f"22 Nov 10:{(line['ended_at'] - 1_795_341_600) // 60:02}"
    return {**line, "bytes": sizes[line["size_of"]], "pictures": str(line["pictures"]), "minute": minute}


async def taken_in(folder: Path, lines: list[dict[str, Any]]) -> Index:
    """Return an index that holds the lines."""
    table = Table(folder)
    rows: dict[str, list[dict[str, Any]]] = {"requests": [], "results": [], "facts": []}
    for one in lines:
        number = one["line"]
        where = {name: one[name] for name in ("bucket", "prefix", "ending")}
        refs = [f"s3://{one['prefix']}/{number}"] * one["pictures"]
        rows["requests"].append({"line": number, "custom_id": f"r{number}", "refs": refs, **where})
        rows["results"].append({"line": number, "code": one["code"]})
        measured = {name: one[name] for name in ("type", "replica", "ended_at")}
        rows["facts"].append({"line": number, "bytes": one["size_of"], **measured})
    for name, made in rows.items():
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in made))
        await table.add(name, file)
    batch: Any = None
    feed: Any = None
    return Index(batch, table, feed, folder)


async def region_of(bucket: str) -> str | None:
    return REGIONS.get(bucket)


@pytest.mark.anyio
@pytest.mark.parametrize("planted", PLANTED, ids=lambda one: f"{one.name}-{one.value}")
async def test_the_planted_cause_is_told_first(tmp_path: Path, planted: Planted) -> None:
    lines = make_lines(planted, Random(f"{planted.name}{planted.value}"))
    index = await taken_in(tmp_path, lines)
    found = await apart.causes(index, region_of=region_of)
    assert (found[0].name, found[0].value) == (planted.name, planted.value)
    having = [one for one in lines if shown(one)[planted.name] == planted.value]
    failed = [one for one in having if one["code"]]
    assert (found[0].lines, found[0].failed) == (len(having), len(failed))
    assert found[0].others == LINES - len(having)
    index.table.close()


@pytest.mark.anyio
async def test_failures_by_chance_have_no_cause_that_counts(tmp_path: Path) -> None:
    index = await taken_in(tmp_path, make_lines(Planted("bucket", "none", noise=0.3), Random(5)))
    assert await apart.causes(index, region_of=region_of) == []
    index.table.close()


@pytest.mark.anyio
async def test_two_causes_with_codes_of_their_own_are_told_apart(tmp_path: Path) -> None:
    one, other = (
        Planted("ending", "webp", noise=0.0),
        Planted("replica", "gpu-2:8000", noise=0.0, code="engine_timeout"),
    )
    lines = make_lines(one, Random(6))
    for line in lines:
        if line["code"] is None and line["replica"] == other.value:
            line["code"] = other.code
    index = await taken_in(tmp_path, lines)
    for planted in (one, other):
        found = await apart.causes(index, planted.code, region_of=region_of)
        assert (found[0].name, found[0].value) == (planted.name, planted.value)
    assert {cause.name for cause in await apart.causes(index, region_of=region_of)} >= {"ending", "replica"}
    index.table.close()


@pytest.mark.anyio
async def test_a_region_of_one_bucket_is_not_said_twice(tmp_path: Path) -> None:
    index = await taken_in(tmp_path, make_lines(Planted("bucket", "parts-e"), Random(7)))

    async def one_each(bucket: str) -> str | None:
        return f"region-of-{bucket}"

    found = await apart.causes(index, region_of=one_each)
    assert found[0].value == "parts-e"
    assert "region" not in {cause.name for cause in found}
    index.table.close()
