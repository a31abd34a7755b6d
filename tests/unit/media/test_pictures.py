"""Children that change pictures: what they make, and that neither crash nor hang hurts anyone."""

from __future__ import annotations

import io
import sys

import anyio
import pytest
from PIL import Image
from tests.unit.media.pictures import jpeg, png, saved

from pronk.media.fetched import FetchError
from pronk.media.picture import open_pictures

pytestmark = pytest.mark.anyio

_FRAGILE_CHILD = """
import os, pronk.media.pixels as child
real = child.change
def change(data, type_, most):
    if most == 666:
        os.abort()
    while most == 777:
        pass
    return real(data, type_, most)
child.change = change
child.main()
"""
FRAGILE = (sys.executable, "-c", _FRAGILE_CHILD)


async def test_a_picture_is_made_smaller_upright_and_of_its_own_kind() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved("JPEG", 400, 100, exif=exif)
    async with open_pictures(1) as pictures:
        changed = await pictures.change(turned, "image/jpeg", 10_000)
        assert (changed.type, changed.width, changed.height) == ("image/jpeg", 50, 200)
        assert Image.open(io.BytesIO(changed.data)).size == (50, 200)
        assert (await pictures.change(saved("TIFF", mode="CMYK"), "image/tiff", 0)).type == "image/png"


async def test_what_cannot_be_decoded_is_invalid_and_says_so_in_our_words() -> None:
    async with open_pictures(1) as pictures:
        for data in (b"", b"junk", jpeg(64, 48)[:60], png(9, 9)[:40]):
            with pytest.raises(FetchError) as caught:
                await pictures.change(data, "image/jpeg", 10)
            assert (caught.value.ending, caught.value.why) == ("invalid", "cannot be decoded")


async def test_a_child_that_crashes_costs_its_own_picture_only() -> None:
    async with open_pictures(2, command=FRAGILE) as pictures:
        outcomes = []

        async def change(most: int) -> None:
            try:
                outcomes.append((await pictures.change(jpeg(40, 40), "image/jpeg", most)).type)
            except FetchError as error:
                outcomes.append(error.ending)

        async with anyio.create_task_group() as group:
            for most in (100, 666, 100, 100):
                group.start_soon(change, most)
        assert sorted(outcomes) == ["image/jpeg", "image/jpeg", "image/jpeg", "invalid"]
        assert (await pictures.change(jpeg(40, 40), "image/jpeg", 100)).width == 10


async def test_a_child_that_hangs_is_ended() -> None:
    async with open_pictures(1, seconds=5.0, command=FRAGILE) as pictures:
        with pytest.raises(FetchError) as caught:
            await pictures.change(jpeg(40, 40), "image/jpeg", 777)
        assert caught.value.ending == "invalid"
        assert (await pictures.change(jpeg(40, 40), "image/jpeg", 100)).width == 10


async def test_a_cancelled_change_leaves_no_child_in_doubt() -> None:
    async with open_pictures(1, command=FRAGILE) as pictures:
        with anyio.move_on_after(0.3):
            await pictures.change(jpeg(40, 40), "image/jpeg", 777)
        assert (await pictures.change(jpeg(40, 40), "image/jpeg", 100)).width == 10
