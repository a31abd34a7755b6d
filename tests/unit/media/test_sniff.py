from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.media.pictures import jpeg, png, png_of, saved

from pronk.media.fetched import FetchError
from pronk.media.sniff import Looks, look_at_picture, look_at_sound_or_film

PICTURES = {
    "png": saved("PNG"),
    "interlaced png": saved("PNG", mode="P"),
    "jpeg": saved("JPEG"),
    "progressive jpeg": saved("JPEG", progressive=True),
    "gif": saved("GIF", mode="P"),
    "webp": saved("WEBP"),
    "lossless webp": saved("WEBP", lossless=True),
    "webp with alpha": saved("WEBP", mode="RGBA"),
    "bmp": saved("BMP"),
    "tiff": saved("TIFF"),
    "packed tiff": saved("TIFF", compression="tiff_lzw"),
    "avif": saved("AVIF"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_type_and_size(name: str) -> None:
    looks = look_at_picture(PICTURES[name])
    assert looks.type.removeprefix("image/") in name
    assert (looks.width, looks.height) == (64, 48)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95])
def test_a_cut_picture_is_invalid(name: str, share: float) -> None:
    data = PICTURES[name]
    with pytest.raises(FetchError) as caught:
        look_at_picture(data[: int(len(data) * share)])
    assert caught.value.ending == "invalid"


@pytest.mark.parametrize("name", sorted(set(PICTURES) - {"tiff", "packed tiff", "avif"}))
def test_a_picture_without_its_last_bytes_is_invalid(name: str) -> None:
    with pytest.raises(FetchError):
        look_at_picture(PICTURES[name][:-3])


@pytest.mark.parametrize("name", sorted(set(PICTURES) - {"avif"}))
def test_bytes_behind_the_end_do_no_harm(name: str) -> None:
    assert look_at_picture(PICTURES[name] + b"\0" * 50) == look_at_picture(PICTURES[name])


@pytest.mark.parametrize(
    ("data", "ending"),
    [
        (b"", "invalid"),
        (b"hello", "invalid"),
        (b"<!DOCTYPE html><html><img src=x>", "invalid"),
        (b'<?xml version="1.0"?><svg xmlns="x"/>', "unsupported"),
        (b"%PDF-1.7", "unsupported"),
        (b"\0\0\0\x18ftypheic", "invalid"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "unsupported"),
        (b"8BPS\0\1", "unsupported"),
        (b"\x89PNG\r\n\x1a\n", "invalid"),
        (
            png_of(
                [(b"IHDR", struct.pack(">IIBBBBB", 0, 9, 8, 0, 0, 0, 0)), (b"IDAT", b"x"), (b"IEND", b"")]
            ),
            "invalid",
        ),
        (png_of([(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0)), (b"IEND", b"")]), "invalid"),
        (
            png_of(
                [(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 3, 0, 0, 0, 0)), (b"IDAT", b"x"), (b"IEND", b"")]
            ),
            "invalid",
        ),
    ],
)
def test_what_is_no_picture(data: bytes, ending: str) -> None:
    with pytest.raises(FetchError) as caught:
        look_at_picture(data)
    assert caught.value.ending == ending


def test_a_bomb_shows_its_size_at_once() -> None:
    assert look_at_picture(png(50_000, 50_000)) == Looks("image/png", 50_000, 50_000)


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt"])
def test_compressed_text_that_unpacks_to_gigabytes_is_too_large(name: bytes) -> None:
    head = b"key\0\0" if name == b"zTXt" else b"key\0\1\0\0\0"
    text = head + zlib.compress(b"x" * 20_000_000)
    header = (b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0))
    with pytest.raises(FetchError) as caught:
        look_at_picture(png_of([header, (name, text), (b"IDAT", b"x"), (b"IEND", b"")]))
    assert caught.value.ending == "too_large"


def test_many_texts_together_are_too_large() -> None:
    text = b"key\0\0" + zlib.compress(b"x" * 1_000_000)
    header = (b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0))
    with pytest.raises(FetchError) as caught:
        look_at_picture(png_of([header, *[(b"zTXt", text)] * 50, (b"IDAT", b"x"), (b"IEND", b"")]))
    assert caught.value.ending == "too_large"


@pytest.mark.parametrize(
    ("make", "is_plain"),
    [(lambda: jpeg(9, 9), True), (lambda: saved("JPEG", mode="CMYK"), False), (lambda: saved("BMP"), False)],
)
def test_what_engines_refuse_is_known(make: object, is_plain: bool) -> None:  # noqa: FBT001
    assert callable(make)
    assert look_at_picture(make()).is_plain is is_plain


@settings(deadline=None)
@given(st.sampled_from(sorted(PICTURES)), st.data())
def test_no_bytes_crash_the_reader(name: str, draw: st.DataObject) -> None:
    data = bytearray(PICTURES[name])
    for _ in range(draw.draw(st.integers(0, 6))):
        data[draw.draw(st.integers(0, min(len(data), 200) - 1))] = draw.draw(st.integers(0, 255))
    _read_or_refuse(bytes(data[: draw.draw(st.integers(0, len(data)))]))


@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"MM\0*"]),
    st.binary(),
)
def test_no_junk_behind_magic_crashes_the_reader(magic: bytes, junk: bytes) -> None:
    _read_or_refuse(magic + junk)
    _read_or_refuse(b"RIFF\x10\0\0\0WEBP" + junk)
    _read_or_refuse(b"\0\0\0\x10ftypavif" + junk)


@pytest.mark.parametrize(
    ("data", "kind", "type_"),
    [
        (b"\0\0\0\x20ftypisom", "video", "video/mp4"),
        (b"\x1a\x45\xdf\xa3", "video", "video/webm"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio", "audio/wav"),
        (b"ID3\4", "audio", "audio/mpeg"),
        (b"fLaC", "audio", "audio/flac"),
    ],
)
def test_films_and_sounds(data: bytes, kind: str, type_: str) -> None:
    assert look_at_sound_or_film(data, kind).type == type_


@pytest.mark.parametrize(("data", "kind"), [(b"", "video"), (b"text", "audio"), (b"fLaC", "video")])
def test_what_is_neither(data: bytes, kind: str) -> None:
    with pytest.raises(FetchError):
        look_at_sound_or_film(data, kind)


def _read_or_refuse(data: bytes) -> None:
    try:
        outcome: Looks | str = look_at_picture(data)
    except FetchError as error:
        outcome = error.ending
    if isinstance(outcome, str):
        assert outcome in {"invalid", "unsupported", "too_large"}
    else:
        assert min(outcome.width, outcome.height) > 0
