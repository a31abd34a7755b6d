"""What the engine gets in each way of delivery, read as an engine would read it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp
import pytest
from PIL import Image
from tests.fakes.aws import USER
from tests.media.pictures import jpeg, png, saved
from tests.media.world import CHAT, SITE_HOST, World, chat, open_world
from yarl import URL

from pronk.domain.bucket import BucketRule
from pronk.domain.errors import MediaError
from pronk.domain.ids import DEFAULT_PROJECT
from pronk.domain.job import MediaPolicy
from pronk.media.line import Resolved

pytestmark = pytest.mark.anyio

ROLE = "arn:aws:iam::222222222222:role/reader"
NAMES = ("plain.png", "a//b.png", "ü #?%20+.png", "trail/")


def urls(answer: Resolved | MediaError) -> list[str]:
    assert isinstance(answer, Resolved), answer.message
    return [part["image_url"]["url"] for part in json.loads(answer.body)["messages"][0]["content"][1:]]


def path_of(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


async def fetched(url: str) -> tuple[int, bytes]:
    """Fetch as an engine does that knows nothing of credentials."""
    async with aiohttp.ClientSession() as client, client.get(URL(url, encoded=True)) as response:
        return response.status, await response.read()


@pytest.mark.parametrize("name", NAMES)
async def test_a_presigned_address_can_be_read_by_anybody(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (BucketRule(match="roled", role_arn=ROLE), BucketRule(match="pays", requester_pays=True))
    async with open_world(monkeypatch, rules=rules) as world:
        world.aws.iam.add_role(ROLE, trusts={USER})
        world.aws.new_bucket("roled", "ap-south-1", readers=(ROLE,))
        world.aws.new_bucket("pays", "ap-south-1").is_requester_pays = True
        for bucket in ("parts", "roled", "pays"):
            world.aws.buckets[bucket].put(name, png())
            (url,) = urls(await world.outcome(f"s3://{bucket}/{name}", policy=MediaPolicy(deliver="presign")))
            assert await fetched(url) == (200, png()), bucket


async def test_a_presigned_address_is_only_given_where_reading_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_world(monkeypatch) as world:
        policy = MediaPolicy(deliver="presign", allow=("s3://parts/public/*",))
        answer = await world.outcome("s3://parts/public/../good.png", policy=policy)
        assert isinstance(answer, MediaError)
        assert answer.code == "image_not_allowed"


async def test_a_file_holds_the_bytes_and_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with open_world(monkeypatch, folder=tmp_path) as world:
        references = ["s3://parts/good.png", f"http://{SITE_HOST}:{world.site.port}/good.png"]
        found = urls(await world.outcome(*references, policy=MediaPolicy(deliver="file")))
        for url in found:
            assert path_of(url).read_bytes() == png()
            assert world.resolver.media_dir is not None
            assert path_of(url).is_relative_to(world.resolver.media_dir)
        assert found[0] == found[1]


async def test_the_disk_serves_the_next_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with open_world(monkeypatch, folder=tmp_path) as world:
        urls(await world.outcome("s3://parts/good.png", policy=MediaPolicy(deliver="file")))
    async with open_world(monkeypatch, folder=tmp_path) as world:
        answer = await world.outcome("s3://parts/none.png")
        assert isinstance(answer, MediaError)
        assert urls(await world.outcome("s3://parts/good.png"))


async def test_a_poisoned_disk_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with open_world(monkeypatch, folder=tmp_path) as world:
        (url,) = urls(await world.outcome("s3://parts/good.png", policy=MediaPolicy(deliver="file")))
    path_of(url).write_bytes(png(2, 2, (66, 66, 66)))
    async with open_world(monkeypatch, folder=tmp_path) as world:
        (url,) = urls(await world.outcome("s3://parts/good.png"))
        assert base64.b64decode(url.partition(",")[2]) == png()


def tiff_pages() -> bytes:
    first, second = Image.new("RGB", (6, 4), (10, 20, 30)), Image.new("RGB", (3, 3))
    return saved("TIFF", first, save_all=True, append_images=[second])


def deep_grey() -> bytes:
    return saved("TIFF", Image.frombytes("I;16", (2, 1), b"\x00\x00\x00\x80"))


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(40, 10, exif=exif)


PIXELS: dict[str, tuple[Callable[[], bytes], MediaPolicy, tuple[int, int]]] = {
    "first page of a tiff": (tiff_pages, MediaPolicy(), (6, 4)),
    "cmyk tiff": (lambda: saved("TIFF", Image.new("CMYK", (5, 7))), MediaPolicy(), (5, 7)),
    "one-bit tiff": (
        lambda: saved("TIFF", Image.new("1", (5, 7)), compression="group4"),
        MediaPolicy(),
        (5, 7),
    ),
    "16-bit grey tiff": (deep_grey, MediaPolicy(), (2, 1)),
    "jpeg made smaller": (lambda: jpeg(400, 100), MediaPolicy(resize_to_pixels=10_000), (200, 50)),
    "turned jpeg made smaller": (turned, MediaPolicy(resize_to_pixels=100), (5, 20)),
    "png made smaller": (lambda: png(300, 300), MediaPolicy(resize_to_pixels=900), (30, 30)),
    "small enough": (lambda: png(30, 30), MediaPolicy(resize_to_pixels=900), (30, 30)),
}


@pytest.mark.parametrize("name", PIXELS)
async def test_pixels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, policy, size = PIXELS[name]
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it", make())
        (url,) = urls(await world.outcome("s3://parts/it", policy=policy))
        kind, _, data = url.partition(";base64,")
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert (kind, picture.format) in {("data:image/png", "PNG"), ("data:image/jpeg", "JPEG")}
            assert picture.size == size
            assert picture.mode in {"RGB", "L", "RGBA"}


async def test_half_grey_stays_half_grey(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it", deep_grey())
        (url,) = urls(await world.outcome("s3://parts/it"))
        with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
            assert [picture.convert("L").getpixel((x, 0)) for x in (0, 1)] == [0, 128]


UNTOUCHED: dict[str, Callable[[], bytes]] = {
    "png": png,
    "jpeg": jpeg,
    "webp": lambda: saved("WEBP", Image.new("RGB", (8, 8))),
    "gif": lambda: saved("GIF", Image.new("P", (8, 8))),
    "turned jpeg": turned,
    "png with text": lambda: png() + b"trailing bytes",
}


@pytest.mark.parametrize("name", UNTOUCHED)
async def test_what_engines_take_is_not_touched(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it", UNTOUCHED[name]())
        (url,) = urls(await world.outcome("s3://parts/it"))
        assert base64.b64decode(url.partition(",")[2]) == UNTOUCHED[name]()


@pytest.mark.parametrize(
    "make",
    [
        lambda: saved("BMP", Image.new("RGB", (8, 8))),
        lambda: saved("JPEG", Image.new("CMYK", (8, 8))),
        lambda: saved("PNG", Image.frombytes("I;16", (2, 1), b"\x00\x00\x00\x80")),
        lambda: saved("AVIF", Image.new("RGB", (8, 8))),
    ],
    ids=["bmp", "cmyk jpeg", "16-bit png", "avif"],
)
async def test_what_engines_refuse_is_turned_into_what_they_take(
    make: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it", make())
        (url,) = urls(await world.outcome("s3://parts/it"))
        with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
            assert picture.format in {"PNG", "JPEG"}
            assert picture.mode in {"RGB", "L", "RGBA"}


async def resolved_with_uuid(world: World, body: bytes) -> list[dict[str, object]]:
    resolved = await world.resolver.resolve(
        body, endpoint=CHAT, policy=MediaPolicy(), project=DEFAULT_PROJECT, with_uuid=True
    )
    resolved.close()
    parts: list[dict[str, object]] = json.loads(resolved.body)["messages"][0]["content"][1:]
    return parts


async def test_the_same_picture_has_the_same_uuid_under_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("copy.png", png())
        world.aws.buckets["parts"].put("other.png", png(3, 3))
        data = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
        names = ["s3://parts/good.png", "s3://parts/copy.png", data, "s3://parts/other.png"]
        parts = await resolved_with_uuid(world, chat(*names))
        uuids = [part["uuid"] for part in parts]
        assert uuids[0] == uuids[1] == uuids[2] != uuids[3]
        urls = [str(part["image_url"]["url"]) for part in parts]  # type: ignore[index]
        assert urls[:3] == [data] * 3, "the bytes go along, so an engine that has lost them has them again"


async def test_a_uuid_of_the_callers_own_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"messages":[{"content":["",{"image_url":{"url":"s3://parts/good.png"},"uuid":"mine"}]}]}'
    async with open_world(monkeypatch) as world:
        assert [part["uuid"] for part in await resolved_with_uuid(world, body)] == ["mine"]
