"""Documents in image parts: pages in the place of their reference, each document fetched once and each page drawn once."""

from __future__ import annotations

import base64
import io
import json
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image
from tests.media.attack import refusals, watched_world
from tests.media.documents import (
    ENDLESS_DOCUMENTS,
    HOSTILE_DOCUMENTS,
    ODD_DOCUMENTS,
    document,
    filled_form,
    photo,
    shade,
)
from tests.media.pictures import png
from tests.media.world import CHAT, World, chat, open_world

from pronk.domain.bucket import WebRules
from pronk.domain.errors import MediaError
from pronk.domain.ids import DEFAULT_PROJECT
from pronk.domain.job import MediaPolicy
from pronk.media.fetched import FetchError
from pronk.media.line import Resolved
from pronk.media.picture import Pictures, open_pictures
from pronk.media.work import Changed

pytestmark = pytest.mark.anyio
REF = "s3://parts/it.pdf"


class Counting:
    """Real children, and how often they drew."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.drawn: list[int] = []

    async def draw(self, data: bytes, page: int, dpi: int, max_pixels: int) -> Changed:
        self.drawn.append(page)
        return await self.pictures.draw(data, page, dpi, max_pixels)


def counted(world: World) -> Counting:
    documents = world.resolver._deliverer._documents
    documents._painter = counting = Counting(documents._painter)  # type: ignore[arg-type]
    return counting


def parts_of(answer: Resolved | MediaError) -> list[dict[str, Any]]:
    assert isinstance(answer, Resolved), answer.message
    found: list[dict[str, Any]] = json.loads(answer.body)["messages"][0]["content"]
    return found


def picture_of(part: dict[str, Any]) -> Image.Image:
    data = base64.b64decode(part["image_url"]["url"].partition(";base64,")[2])
    return Image.open(io.BytesIO(data)).convert("RGB")


def number_of(picture: Image.Image) -> int:
    """Return which page it is, by its colour."""
    colour = picture.getpixel((picture.width - 2, 2))
    return next(n for n in range(200) if colour == tuple(int(255 * part + 0.5) for part in shade(n)))


async def numbers(world: World, *references: str, **policy: Any) -> list[int]:
    answer = await world.outcome(*references, policy=MediaPolicy(**policy))
    return [number_of(picture_of(part)) for part in parts_of(answer)[1:]]


@pytest.mark.parametrize(
    ("pages", "expected"),
    [("#page=3", [3]), ("#page=2-4", [2, 3, 4]), ("", [1, 2, 3, 4, 5]), ("#page=5-5", [5])],
)
async def test_the_pages_that_are_asked_for(
    pages: str, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it.pdf", document(5))
        assert await numbers(world, f"{REF}{pages}") == expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("file://{folder}/it.pdf#page=2", [2]),
        ("file://{folder}/it.pdf", [1, 2, 3]),
        ("file://{folder}/a%23b.pdf#page=3", [3]),
        ("http://img.example.test:{site}/it.PDF#page=2-3", [2, 3]),
        ("http://img.example.test:{site}/it.PDF", [1, 2, 3]),
        ("http://img.example.test:{site}/it.PDF#chapter", [1, 2, 3]),
        ("http://img.example.test:{site}/it.PDF?a=.png#page=1", [1]),
    ],
)
async def test_documents_of_the_web_and_of_folders(
    reference: str, expected: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("it.pdf", "a#b.pdf"):
        (tmp_path / name).write_bytes(document(3))
    web = WebRules(allow_http=True, file_folders=(str(tmp_path),))
    async with open_world(monkeypatch, web=web) as world:
        for path in ("/it.PDF", "/it.PDF?a=.png"):
            world.site.page(path, document(3))
        assert await numbers(world, world.fill(reference.replace("{folder}", str(tmp_path)))) == expected


@pytest.mark.parametrize("ending", ["it.pdf#page=0", "it.pdf#page=3-2", "it.pdf#page=99999999999999999999"])
async def test_pages_that_no_document_of_the_web_has(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        refused = await world.outcome(world.fill(f"http://img.example.test:{{site}}/{ending}"))
        assert isinstance(refused, MediaError)
        assert refused.code == "document_unsupported"
        assert world.site.seen == []


async def test_pages_stand_where_their_part_stood_with_all_that_it_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = '{ "detail" : "high","n": 1.50 , "image_url":{"url":"s3://parts/it.pdf#page=1-2", "detail":"low"},"x":[{}]}'
    second, third = (
        '{"image_url":{"url":"s3://parts/good.png"}}',
        '{"image_url":"s3://parts/it.pdf#page=3-4"}',
    )
    content = f'[{{"type":"text","text":"a"}}, {first} , {second},{third}]'
    body = f'{{"messages":[{{"role":"user","content":{content}}},{{"content":"b"}}]}}'
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it.pdf", document(4))
        resolved = await world.resolver.resolve(
            body.encode(), endpoint=CHAT, policy=MediaPolicy(), project=DEFAULT_PROJECT
        )
        resolved.close()
        content = json.loads(resolved.body)["messages"][0]["content"]
        assert [part.get("n") for part in content] == [None, 1.5, 1.5, None, None, None]
        assert [part["image_url"]["detail"] for part in content[1:3]] == ["low", "low"]
        assert [number_of(picture_of(part)) for part in content[1:3]] == [1, 2]
        assert resolved.body.count(b'"n": 1.50 , "image_url"') == 2
        assert [fact.reference for fact in resolved.facts] == [
            *["s3://parts/it.pdf#page=1-2"] * 2,
            "s3://parts/good.png",
            *["s3://parts/it.pdf#page=3-4"] * 2,
        ]
        assert all(
            (fact.width, fact.height) == (300, 150) for fact in resolved.facts if "pdf" in fact.reference
        )


async def test_many_lines_fetch_a_document_once_and_draw_each_page_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it.pdf", document(6))
        counting = counted(world)
        lines = [[f"{REF}#page={1 + n % 6}"] for n in range(60)] + [[REF], [f"{REF}#page=2-5"]]
        assert all(isinstance(answer, Resolved) for answer in await world.outcomes(lines))
        assert world.aws.count("GetObject", "parts", "it.pdf") == 1
        assert sorted(counting.drawn) == [1, 2, 3, 4, 5, 6]
        assert await numbers(world, f"{REF}#page=2", document_dpi=75) == [2]
        assert counting.drawn.count(2) == 2


async def test_the_next_worker_finds_pages_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with open_world(monkeypatch, folder=tmp_path) as world:
        world.aws.buckets["parts"].put("it.pdf", document(3))
        assert await numbers(world, REF) == [1, 2, 3]
        with anyio.fail_after(10):
            while len(list((tmp_path / "names").glob("*/*"))) < 4:
                await anyio.lowlevel.checkpoint()
    async with open_world(monkeypatch, folder=tmp_path) as world:
        world.aws.buckets["parts"].put("it.pdf", document(3))
        counting = counted(world)
        assert await numbers(world, f"{REF}#page=1-3") == [1, 2, 3]
        assert counting.drawn == []


async def test_a_changed_document_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    async with open_world(monkeypatch, clock=lambda: now) as world:
        world.aws.buckets["parts"].put("it.pdf", document(2))
        assert await numbers(world, REF) == [1, 2]
        world.aws.buckets["parts"].put("it.pdf", document(3))
        now += 61
        assert await numbers(world, REF) == [1, 2, 3]


@pytest.mark.parametrize(
    ("policy", "size"),
    [
        (MediaPolicy(), (300, 150)),
        (MediaPolicy(document_dpi=72), (144, 72)),
        (MediaPolicy(document_dpi=300), (600, 300)),
        (MediaPolicy(document_dpi=300, max_pixels=45_000), (300, 150)),
        (MediaPolicy(document_dpi=300, resize_to_pixels=5000), (100, 50)),
        (MediaPolicy(max_pixels=1), (1, 1)),
    ],
)
async def test_pages_are_as_fine_as_they_should_be(
    policy: MediaPolicy, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it.pdf", document())
        answer = await world.outcome(REF, policy=policy)
        assert picture_of(parts_of(answer)[1]).size == size


async def test_every_way_of_delivery_gives_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with open_world(monkeypatch, folder=tmp_path) as world:
        world.aws.buckets["parts"].put("it.pdf", document(2))
        for deliver in ("auto", "data", "presign"):
            assert await numbers(world, REF, deliver=deliver) == [1, 2]
        files = parts_of(await world.outcome(REF, policy=MediaPolicy(deliver="file")))[1:]
        paths = [part["image_url"]["url"].removeprefix("file://") for part in files]
        assert [number_of(Image.open(path).convert("RGB")) for path in paths] == [1, 2]
        native = parts_of(await world.outcome(REF, policy=MediaPolicy(deliver="native")))[1:]
        assert [part["image_url"]["url"] for part in native] == [REF]


async def test_each_page_has_its_own_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it.pdf", document(3))
        resolved = await world.resolver.resolve(
            chat(REF, f"{REF}#page=2"),
            endpoint=CHAT,
            policy=MediaPolicy(),
            project=DEFAULT_PROJECT,
            with_uuid=True,
        )
        resolved.close()
        uuids = [part["uuid"] for part in json.loads(resolved.body)["messages"][0]["content"][1:]]
        assert len(set(uuids)) == 3
        assert uuids[3] == uuids[1]


@pytest.mark.parametrize(
    "content",
    [
        '{"image_url":{"url":"s3://parts/it.pdf"}}',
        '[{"image_url":{"url":"s3://parts/it.pdf"},"uuid":"mine"}]',
        '[{"image_url":{"url":"s3://parts/it.pdf"},"image_url":{"url":"s3://parts/good.png"}}]',
        '[{"image_url":{"url":"s3://parts/it.pdf","url":"s3://parts/it.pdf"}}]',
    ],
    ids=["not in a list", "a uuid of its own", "two pictures", "twice"],
)
async def test_a_part_that_cannot_be_repeated_takes_one_page_only(
    content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = f'{{"messages":[{{"content":{content}}}]}}'
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it.pdf", document(2))
        with pytest.raises(MediaError) as raised:
            await world.resolver.resolve(
                body.encode(), endpoint=CHAT, policy=MediaPolicy(), project=DEFAULT_PROJECT
            )
        assert raised.value.code == "document_unsupported"
        one = body.replace("it.pdf", "it.pdf#page=1").encode()
        resolved = await world.resolver.resolve(
            one, endpoint=CHAT, policy=MediaPolicy(), project=DEFAULT_PROJECT
        )
        resolved.close()
        assert b"it.pdf" not in resolved.body


async def test_responses_take_documents_too(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"input":[{"content":[{"type":"input_image","image_url":"s3://parts/it.pdf"}]}]}'
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it.pdf", document(3))
        resolved = await world.resolver.resolve(
            body, endpoint="/v1/responses", policy=MediaPolicy(), project=DEFAULT_PROJECT
        )
        resolved.close()
        content = json.loads(resolved.body)["input"][0]["content"]
        assert [part["type"] for part in content] == ["input_image"] * 3
        assert len({part["image_url"] for part in content}) == 3


async def test_all_pages_of_a_request_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it.pdf", document(4))
        assert await numbers(world, REF, REF, max_references=8) == [1, 2, 3, 4] * 2
        answer = await world.outcome(REF, REF, policy=MediaPolicy(max_references=7))
        assert isinstance(answer, MediaError)
        assert answer.code == "document_too_large"


async def test_forms_are_drawn_as_filled_in_and_photos_as_jpeg() -> None:
    async with open_pictures(1) as pictures:
        form = await pictures.draw(filled_form(), 1, 72, 10_000)
        assert Image.open(io.BytesIO(form.data)).convert("RGB").getpixel((20, 52)) == (0, 0, 255)
        assert form.type == "image/png"
        assert (await pictures.draw(photo(), 1, 72, 10_000)).type == "image/jpeg"


async def test_hostile_documents_are_refused_and_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch, WebRules(allow_http=True)) as world:
        wrong = {}
        for name, (make, ending) in HOSTILE_DOCUMENTS.items():
            world.aws.buckets["parts"].put(f"{name}.pdf", make())
            if fault := await refusals(world, [f"s3://parts/{name}.pdf"], {f"document_{ending}"}):
                wrong[name] = fault
        assert wrong == {}
        assert isinstance(await world.outcome("s3://parts/good.png"), Resolved)


@pytest.mark.parametrize("name", ODD_DOCUMENTS)
async def test_odd_documents_do_nothing_but_draw(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch, WebRules(allow_http=True)) as world:
        world.aws.buckets["parts"].put(
            "it.pdf", ODD_DOCUMENTS[name]().replace(b"{port}", b"%d" % world.canary.port)
        )
        answer = await world.outcome(REF, policy=MediaPolicy(max_pixels=1_000_000))
        if isinstance(answer, MediaError):
            assert answer.code in {"document_invalid", "document_too_large"}
        else:
            picture = picture_of(parts_of(answer)[1])
            assert 0 < picture.width * picture.height <= 1_000_000
        assert isinstance(await world.outcome("s3://parts/good.png"), Resolved)


@pytest.mark.parametrize("name", ENDLESS_DOCUMENTS)
async def test_endless_documents_are_ended(name: str) -> None:
    async with open_pictures(1, seconds=4.0) as pictures:
        started = time.monotonic()
        with pytest.raises(FetchError) as raised:
            await pictures.draw(ENDLESS_DOCUMENTS[name](), 1, 150, 1_000_000)
        assert raised.value.ending == "invalid"
        assert time.monotonic() - started < 15
        assert (await pictures.draw(document(), 1, 72, 1_000_000)).width == 144


async def test_a_picture_that_is_called_a_document_is_served_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it.pdf", png(20, 30))
        assert picture_of(parts_of(await world.outcome(REF))[1]).size == (20, 30)
        answer = await world.outcome(f"{REF}#page=1")
        assert isinstance(answer, MediaError)
        assert answer.code == "document_invalid"


async def test_what_failed_is_not_tried_again_for_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    async with open_world(monkeypatch, clock=lambda: now) as world:
        world.aws.buckets["parts"].put("it.pdf", png() + b"%PDF-1.7 %%EOF")
        counting = counted(world)
        for _ in range(5):
            assert isinstance(await world.outcome(REF), MediaError)
        assert counting.drawn == [1]
        now += 601
        assert isinstance(await world.outcome(REF), MediaError)
        assert counting.drawn == [1, 1]
