"""Films, sounds, HEIC pictures and the ways of `auto`: what is not an ordinary picture goes the same way as one."""

from __future__ import annotations

import base64
import io
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pillow_heif
import pytest
from PIL import Image
from tests.fakes.aws import Fault
from tests.media.faults import ALWAYS
from tests.media.pictures import png
from tests.media.world import CHAT, World, chat, open_world, opened

from pronk.domain.errors import MediaError
from pronk.domain.ids import DEFAULT_PROJECT
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import Kind
from pronk.media.fetched import FetchError
from pronk.media.line import Resolved
from pronk.media.picture import open_pictures

pytestmark = pytest.mark.anyio

MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + b"\0" * 5000
WAV = b"RIFF" + struct.pack("<I", 5028) + b"WAVEfmt " + b"\0" * 5000
MEDIA: dict[Kind, tuple[bytes, str]] = {"video": (MP4, "video/mp4"), "audio": (WAV, "audio/wav")}


async def outcome(
    world: World, reference: str, kind: str, policy: MediaPolicy | None = None, **wishes: Any
) -> Resolved | MediaError:
    body = chat(reference, kind=f"{kind}_url")
    try:
        answer = await world.resolver.resolve(
            body, endpoint=CHAT, policy=opened(policy), project=DEFAULT_PROJECT, **wishes
        )
    except MediaError as error:
        return error
    answer.close()
    return answer


def url_of(answer: Resolved | MediaError, kind: str) -> str:
    assert isinstance(answer, Resolved), answer.message
    return str(json.loads(answer.body)["messages"][0]["content"][1][f"{kind}_url"]["url"])


@pytest.mark.parametrize("kind", MEDIA)
async def test_films_and_sounds_are_delivered_untouched(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data, type_ = MEDIA[kind]
    async with open_world(monkeypatch, folder=tmp_path) as world:
        world.aws.buckets["parts"].put("it", data)
        world.site.page("/it", data)
        whole = f"data:{type_};base64,{base64.b64encode(data).decode()}"
        for reference in ("s3://parts/it", world.fill("http://img.example.test:{site}/it"), whole):
            assert url_of(await outcome(world, reference, kind), kind) == whole
        answer = await outcome(world, "s3://parts/it", kind, MediaPolicy(deliver="file"))
        assert await anyio.Path(url_of(answer, kind).removeprefix("file://")).read_bytes() == data
        assert world.aws.count("GetObject", "parts", "it") == 1
        answer = await outcome(world, "s3://parts/it", kind, MediaPolicy(deliver="presign"))
        assert "/parts/it?X-Amz-" in url_of(answer, kind)


def put(data: bytes) -> Callable[[World], object]:
    return lambda world: world.aws.buckets["parts"].put("it", data)


def spoil(fault: Fault) -> Callable[[World], object]:
    return lambda world: (put(MP4)(world), world.aws.fail(fault))


FAULTS: dict[str, tuple[Callable[[World], object], str, MediaPolicy]] = {
    "missing": (lambda _: None, "not_found", MediaPolicy()),
    "not allowed": (put(MP4), "not_allowed", MediaPolicy(allow=("s3://other/*",))),
    "too large": (put(MP4), "too_large", MediaPolicy(max_bytes=5000)),
    "empty": (put(b""), "invalid", MediaPolicy()),
    "a picture": (put(png()), "invalid", MediaPolicy()),
    "denied": (spoil(Fault(key="it", code="AccessDenied", times=ALWAYS)), "access_denied", MediaPolicy()),
    "slowed down": (spoil(Fault(key="it", code="SlowDown", times=ALWAYS)), "fetch_failed", MediaPolicy()),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("kind", MEDIA)
async def test_faults_of_films_and_sounds(kind: Kind, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arrange, ending, policy = FAULTS[name]
    async with open_world(monkeypatch) as world:
        arrange(world)
        answer = await outcome(world, "s3://parts/it", kind, policy)
        assert isinstance(answer, MediaError)
        assert (answer.code, answer.param) == (f"{kind}_{ending}", f"messages[0].content[1].{kind}_url.url")


@pytest.mark.parametrize("kind", MEDIA)
async def test_films_and_sounds_have_no_pages(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        answer = await outcome(world, "s3://parts/it.pdf#page=1", kind)
        assert isinstance(answer, MediaError)
        assert answer.code == f"{kind}_unsupported"


def heic(width: int = 64, height: int = 48, *, orientation: int = 1) -> bytes:
    """Return a HEIC picture, red on its left and blue on its right."""
    picture = Image.new("RGB", (width, height), (200, 0, 0))
    picture.paste((0, 0, 200), (width // 2, 0, width, height))
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    pillow_heif.from_pillow(picture).save(out, quality=90, exif=exif.tobytes())
    return out.getvalue()


@pytest.mark.parametrize(
    ("orientation", "limit", "size"),
    [(1, 0, (64, 48)), (6, 0, (48, 64)), (6, 768, (24, 32)), (1, 768, (32, 24))],
)
async def test_heic_becomes_jpeg_upright(
    orientation: int, limit: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it", heic(orientation=orientation))
        answer = await outcome(world, "s3://parts/it", "image", MediaPolicy(resize_to_pixels=limit))
        head, _, data = url_of(answer, "image").partition(",")
        picture = Image.open(io.BytesIO(base64.b64decode(data)))
        assert (head, picture.size) == ("data:image/jpeg;base64", size)
        assert picture.getexif().get(0x0112, 1) == 1
        red = picture.convert("RGB").getpixel((size[0] // 4, size[1] // 4))
        assert isinstance(red, tuple)
        assert red[0] > 150 > red[2]


HEIC_FAULTS: dict[str, tuple[Callable[[], bytes], str, MediaPolicy]] = {
    "cut": (lambda: heic()[:-50], "image_invalid", MediaPolicy()),
    "broken inside": (lambda: heic()[:-200] + b"\xff" * 200, "image_invalid", MediaPolicy()),
    "too many pixels": (heic, "image_too_large", MediaPolicy(max_pixels=1000)),
}


@pytest.mark.parametrize("name", HEIC_FAULTS)
async def test_faults_of_heic(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, code, policy = HEIC_FAULTS[name]
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("it", make())
        answer = await outcome(world, "s3://parts/it", "image", policy)
        assert isinstance(answer, MediaError)
        assert answer.code == code


async def test_without_the_optional_parts_it_is_said_which_one_is_missing() -> None:
    program = (
        "import sys; sys.modules['pypdfium2'] = sys.modules['pillow_heif'] = None;"
        "import pronk.media.pixels as child; child.main()"
    )
    async with open_pictures(1, command=(sys.executable, "-c", program)) as pictures:
        for ask in (pictures.draw(b"%PDF", 1, 150, 1000), pictures.change(heic(), "image/heic", 0)):
            with pytest.raises(FetchError) as raised:
                await ask
            assert raised.value.ending == "unsupported"
            assert "pronk[documents]" in raised.value.why
        assert (await pictures.change(png(), "image/png", 0)).type == "image/png"


@pytest.mark.parametrize(
    ("policy", "reads_files", "kept", "scheme"),
    [
        (MediaPolicy(), True, True, "file"),
        (MediaPolicy(), False, True, "data"),
        (MediaPolicy(), True, False, "data"),
        (MediaPolicy(deliver="data"), True, True, "data"),
        (MediaPolicy(deliver="presign"), True, True, "http"),
    ],
)
async def test_auto_hands_files_to_who_may_open_them(  # noqa: PLR0917
    policy: MediaPolicy,
    reads_files: bool,  # noqa: FBT001
    kept: bool,  # noqa: FBT001
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    async with open_world(monkeypatch, folder=tmp_path if kept else None) as world:
        answer = await outcome(world, "s3://parts/good.png", "image", policy, reads_files=reads_files)
        assert url_of(answer, "image").partition(":")[0] == scheme


async def test_auto_falls_back_to_the_body_where_no_file_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with open_world(monkeypatch, folder=tmp_path) as world:
        (tmp_path / "objects").write_bytes(b"in the way")
        answer = await outcome(world, "s3://parts/good.png", "image", reads_files=True)
        assert url_of(answer, "image").startswith("data:image/png")
        answer = await outcome(world, "s3://parts/good.png", "image", MediaPolicy(deliver="file"))
        assert isinstance(answer, MediaError)
