"""What is alike is found by the words of answers and by what is known of pictures, on planted copies."""

from __future__ import annotations

import base64
import io
import random
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image, ImageDraw, ImageEnhance
from tests.console.conftest import run_batch
from tests.console.lines import index_of
from tests.console.server import ConsoleServer, line

from pronk.console.index import alike, queries
from pronk.console.index.looks import NEAR, differing, look_of

WORDS = [f"word{number}" for number in range(400)]


def lines() -> list[dict[str, Any]]:
    chance = random.Random(3)
    found: list[dict[str, Any]] = [{"answer": " ".join(chance.sample(WORDS, 30))} for _ in range(200)]
    first = found[0]["answer"].split()
    found[9]["answer"] = found[0]["answer"]
    found[19]["answer"] = " ".join([*first[:28], "another", "ending"])
    found[29]["answer"] = " ".join(first).upper() + "!"
    found[39]["answer"] = " ".join([*first[:15], *(f"else{number}" for number in range(15))])
    found[49] = {"code": "timeout", "message": found[0]["answer"]}
    found[59]["answer"], found[69]["answer"] = "一只红色的圆形。", "一只红色的圆形"
    found[79]["answer"] = "完全不同的回答"
    for number, (ref, size) in {1: ("a", 5), 11: ("a", 7), 21: ("b", 5), 31: ("c", 6)}.items():
        media = [{"bytes": size, "width": 10, "height": 20, "type": "image/png"}]
        found[number] |= {"ref": f"s3://x/{ref}.png", "facts": {"media": media}}
    return found


@pytest.mark.anyio
async def test_answers_that_say_the_same_or_nearly_are_found_and_no_others(tmp_path: Path) -> None:
    index = await index_of(tmp_path, lines())
    for settled in (False, True):
        if settled:
            await index.table.settle()
        found = await alike.answers(index, 1)
        assert [one.line for one in found.lines] == [10, 30, 20]
        assert (found.total, found.lines[0].share, found.lines[1].share) == (3, 1.0, 1.0)
        assert found.lines[2].share == pytest.approx(28 / 32)
        assert [one.line for one in (await alike.answers(index, 60)).lines] == [70]
        assert await alike.answers(index, 50) == alike.Found()
        assert await alike.answers(index, 999) == alike.Found()
    index.table.close()


@pytest.mark.anyio
async def test_the_same_picture_is_found_by_reference_and_by_what_it_is(tmp_path: Path) -> None:
    index = await index_of(tmp_path, lines())
    line = await queries.find_line(index, 2)
    assert line is not None
    assert [one.line for one in (await alike.pictures(index, line)).lines] == [12, 22]
    other = await queries.find_line(index, 32)
    assert other is not None
    assert await alike.pictures(index, other) == alike.Found()
    index.table.close()


def drawn(seed: int) -> Image.Image:
    """Some discs on a ground; each seed looks different."""
    chance = random.Random(seed)
    picture = Image.new("RGB", (240, 180), tuple(chance.randint(0, 255) for _ in range(3)))
    draw = ImageDraw.Draw(picture)
    for _ in range(14):
        x, y, size = chance.randint(0, 220), chance.randint(0, 160), chance.randint(20, 90)
        draw.ellipse((x, y, x + size, y + size), fill=tuple(chance.randint(0, 255) for _ in range(3)))
    return picture


def encoded(picture: Image.Image, form: str = "PNG", **more: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, form, **more)
    return data.getvalue()


def inline(data: bytes) -> str:
    form = "jpeg" if data.startswith(b"\xff\xd8") else "png"
    return f"data:image/{form};base64,{base64.b64encode(data).decode()}"


def changed(picture: Image.Image) -> list[bytes]:
    """The same picture as others would have it: encoded anew, smaller, brighter."""
    return [
        encoded(picture, "JPEG", quality=40),
        encoded(picture.resize((150, 112))),
        encoded(ImageEnhance.Brightness(picture).enhance(1.12), "JPEG", quality=85),
    ]


def look(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as picture:
        picture.thumbnail((32, 32))
        found = look_of(encoded(picture.convert("RGB"), "WEBP", quality=80))
    assert found is not None
    return found


def test_looks_are_near_for_copies_and_far_for_others() -> None:
    looks = [look(encoded(drawn(seed))) for seed in range(40)]
    for seed in range(40):
        assert [differing(looks[seed], look(copy)) <= NEAR for copy in changed(drawn(seed))] == [True] * 3
    others = [differing(looks[a], looks[b]) for a in range(40) for b in range(a)]
    assert sum(bits <= NEAR for bits in others) == 0


@pytest.mark.parametrize("data", [b"", b"no picture", encoded(Image.new("RGB", (200, 200)))])
def test_what_is_no_small_picture_has_no_look(data: bytes) -> None:
    assert look_of(data) is None


def test_pictures_that_look_alike_are_found(http: httpx2.Client, server: ConsoleServer) -> None:
    pictures = [encoded(drawn(seed)) for seed in range(20)]
    pictures[7] = pictures[3]
    pictures[11:14] = changed(drawn(3))
    lines = [line(number, "what is it", reference=inline(data)) for number, data in enumerate(pictures)]
    lines += [line(20, "no picture", picture=False), line(21, "gone", reference="s3://missing/x.png")]
    batch = run_batch(server.url, http, lines, "looks.jsonl")
    page = http.get(f"/batches/{batch}/lines/4/resembling").text
    found = [int(part.split('"')[0]) for part in page.split('data-near="')[1:]]
    assert sorted(found) == [8, 12, 13, 14]
    assert found[0] == 8
    assert "20 of 20 pictures of this filter" in page
    some = http.get(f"/batches/{batch}/lines/4/resembling?max.line=8").text
    assert [int(part.split('"')[0]) for part in some.split('data-near="')[1:]] == [8]
    assert http.get(f"/batches/{batch}/lines/21/resembling").status_code == 404
    assert "the same" in http.get(f"/batches/{batch}/lines/1/alike").text
