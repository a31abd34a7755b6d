"""Pictures arrive upright, in RGB, at the model's size; everything else is refused in our own words."""

import base64
import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from pronk.domain.errors import InvalidRequestError
from pronk.engines.bundled.chat import PicturePart
from pronk.engines.bundled.layout import AreaFit, FixedFit
from pronk.engines.bundled.pictures import PictureLimits, decode_picture, load_picture
from pronk.engines.bundled.protocol import Picture

CROP = FixedFit(96, 96, crop=True, tokens=37)
SQUEEZE = FixedFit(96, 96, crop=False, tokens=37)
AREA = AreaFit(max_pixels=10_000, cell=28)
PATH = "messages[0].content[0].image_url.url"
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def halves(width: int = 200, height: int = 100) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image


def pixel(picture: Picture, x: int, y: int) -> tuple[int, ...]:
    start = 3 * (y * picture.width + x)
    return tuple(picture.pixels[start : start + 3])


def near(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(abs(a - b) <= 12 for a, b in zip(one, other, strict=True))


def decode(data: bytes, fit: FixedFit | AreaFit = CROP, limits: PictureLimits | None = None) -> Picture:
    return decode_picture(data, PATH, limits or PictureLimits(), fit)


def refusal(data: bytes, limits: PictureLimits | None = None) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        decode(data, limits=limits)
    assert caught.value.param == PATH
    assert " at 0x" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_formats(form: str) -> None:
    picture = decode(encoded(halves(), form))
    assert (picture.width, picture.height, len(picture.pixels)) == (96, 96, 96 * 96 * 3)
    assert near(pixel(picture, 20, 48), RED)
    assert near(pixel(picture, 76, 48), BLUE)


def test_cropping_keeps_the_middle() -> None:
    image = Image.new("RGB", (300, 100), WHITE)
    image.paste(RED, (100, 0, 200, 100))
    picture = decode(encoded(image))
    assert near(pixel(picture, 3, 48), RED)
    assert near(pixel(picture, 92, 48), RED)


def test_squeezing_keeps_all() -> None:
    image = Image.new("RGB", (300, 100), WHITE)
    image.paste(RED, (0, 0, 100, 100))
    picture = decode(encoded(image), SQUEEZE)
    assert near(pixel(picture, 10, 48), RED)
    assert near(pixel(picture, 60, 48), WHITE)


def test_an_area_keeps_the_shape() -> None:
    small, large = decode(encoded(halves(20, 10)), AREA), decode(encoded(halves(400, 200)), AREA)
    assert (small.width, small.height) == (20, 10)
    assert (large.width, large.height) == (141, 70)


def test_a_picture_of_the_right_size_is_untouched() -> None:
    image = Image.effect_noise((96, 96), 80).convert("RGB")
    assert decode(encoded(image)).pixels == image.tobytes()


def test_transparency_is_over_white() -> None:
    image = Image.new("RGBA", (96, 96), (255, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 48, 96))
    picture = decode(encoded(image))
    assert (pixel(picture, 10, 50), pixel(picture, 80, 50)) == (RED, WHITE)


def test_grey() -> None:
    assert pixel(decode(encoded(Image.new("L", (96, 96), 77))), 5, 5) == (77, 77, 77)


def test_grey_with_transparency() -> None:
    assert pixel(decode(encoded(Image.new("LA", (96, 96), (0, 0)))), 5, 5) == WHITE


def test_palettes() -> None:
    assert near(pixel(decode(encoded(halves().convert("P", palette=Image.Palette.ADAPTIVE))), 10, 5), RED)


def test_black_and_white() -> None:
    assert pixel(decode(encoded(Image.new("1", (96, 96), 1))), 5, 5) == WHITE


def test_cmyk() -> None:
    assert near(pixel(decode(encoded(halves().convert("CMYK"), "JPEG")), 10, 48), RED)


def test_sixteen_bits_are_scaled() -> None:
    image = Image.new("I;16", (96, 96), 32768)
    assert near(pixel(decode(encoded(image)), 5, 5), (128, 128, 128))


def test_dark_sixteen_bits_stay_dark() -> None:
    assert near(pixel(decode(encoded(Image.new("I;16", (96, 96), 200))), 5, 5), (0, 0, 0))


@pytest.mark.parametrize(
    ("orientation", "red_at"),
    [
        (1, (10, 48)),
        (2, (86, 48)),
        (3, (86, 48)),
        (4, (10, 48)),
        (5, (48, 10)),
        (6, (48, 10)),
        (7, (48, 86)),
        (8, (48, 86)),
    ],
)
def test_rotations_in_exif(orientation: int, red_at: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(encoded(halves(), "JPEG", exif=exif), SQUEEZE)
    assert near(pixel(picture, *red_at), RED)
    assert near(
        pixel(picture, 95 - red_at[0], 95 - red_at[1]), BLUE if red_at[0] != 48 or red_at[1] != 48 else RED
    )


def test_one_pixel() -> None:
    assert pixel(decode(encoded(Image.new("RGB", (1, 1), RED))), 95, 95) == RED


def test_too_many_pixels() -> None:
    assert (
        refusal(encoded(Image.new("L", (500, 500))), PictureLimits(max_pixels=200_000)).code
        == "image_too_large"
    )


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8_000, 40_000, 2**30])
def test_bombs(side: int) -> None:
    error = refusal(png_that_claims(side, side))
    assert error.code in ("image_too_large", "image_invalid")


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)])
def test_splinters(size: tuple[int, int]) -> None:
    assert "at most 200 times" in refusal(encoded(Image.new("RGB", size))).message


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_cut_short(form: str) -> None:
    data = encoded(Image.effect_noise((200, 200), 90).convert("RGB"), form)
    assert refusal(data[: len(data) // 2]).code == "image_invalid"


@pytest.mark.parametrize(
    "data", [b"hello, I am a PNG", b"\x89PNG\r\n\x1a\n", b"%PDF-1.4", b"<svg/>", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_text_called_a_picture(data: bytes) -> None:
    assert refusal(data).code == "image_invalid"


def load(url: str, limits: PictureLimits) -> Picture:
    return load_picture(PicturePart(url, PATH), limits, CROP)


def test_a_data_url() -> None:
    payload = base64.b64encode(encoded(halves())).decode()
    assert load(f"data:image/png;base64,{payload}", PictureLimits()).width == 96
    assert load(f"DATA:;BASE64,{payload}", PictureLimits()).width == 96


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "image_unsupported"),
        ("s3://bucket/key", "image_unsupported"),
        ("https://example.com/a.png", "image_unsupported"),
        ("data:image/png,abc", "image_invalid"),
        ("data:image/png;base64", "image_invalid"),
        ("data:image/png;base64,", "image_invalid"),
        ("data:image/png;base64,%%%%", "image_invalid"),
        ("data:image/png;base64,é", "image_invalid"),
        ("file:///etc/passwd", "image_not_allowed"),
    ],
)
def test_urls_that_are_refused(url: str, code: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        load(url, PictureLimits())
    assert (caught.value.code, caught.value.param) == (code, PATH)


def test_too_many_bytes() -> None:
    payload = base64.b64encode(bytes(200)).decode()
    with pytest.raises(InvalidRequestError) as caught:
        load(f"data:image/png;base64,{payload}", PictureLimits(max_bytes=100))
    assert caught.value.code == "image_too_large"


def test_files_below_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "a b.png").write_bytes(encoded(halves()))
    (tmp_path / "secret.png").write_bytes(encoded(halves()))
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    limits = PictureLimits(folder=inside)
    assert load(f"file://{inside}/a%20b.png", limits).width == 96
    for name, code in [
        ("link.png", "image_not_allowed"),
        ("../secret.png", "image_not_allowed"),
        ("%2e%2e/secret.png", "image_not_allowed"),
        ("none.png", "image_not_found"),
        ("", "image_not_found"),
        ("a%00b", "image_not_found"),
    ]:
        with pytest.raises(InvalidRequestError) as caught:
            load(f"file://{inside}/{name}", limits)
        assert caught.value.code == code
        assert str(tmp_path) not in caught.value.message
    with pytest.raises(InvalidRequestError, match="absolute"):
        load("file://server/a.png", limits)
