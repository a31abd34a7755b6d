"""Small pictures for people: under the same policy as for engines, small, upright, and made once."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from tests.media.pictures import png
from tests.media.world import open_world

from pronk.domain.errors import MediaError
from pronk.domain.ids import DEFAULT_PROJECT
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import parse_reference
from pronk.media.thumbs import Wanted

pytestmark = pytest.mark.anyio


def wanted(text: str, policy: MediaPolicy | None = None) -> Wanted:
    return Wanted(
        reference=parse_reference(text, "image"),
        policy=policy or MediaPolicy(),
        project=DEFAULT_PROJECT,
        since=0.0,
        edge=256,
        max_bytes=15_000,
    )


def noisy(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((width, height), 120).convert("RGB").save(out, "JPEG", quality=95)
    return out.getvalue()


async def test_a_thumbnail_is_small_and_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        bucket = world.aws.buckets["parts"]
        bucket.put("noisy.jpg", noisy(2400, 1600), "image/jpeg")
        data, type_ = await world.resolver.thumbs.small(wanted("s3://parts/noisy.jpg"))
        assert type_ == "image/webp"
        assert len(data) <= 15_000
        assert Image.open(io.BytesIO(data)).size in {(256, 170), (255, 170)}
        assert await world.resolver.thumbs.small(wanted("s3://parts/noisy.jpg")) == (data, type_)
        assert world.aws.count("GetObject", "parts", "noisy.jpg") == 1
        small, same = await world.resolver.thumbs.small(wanted("s3://parts/good.png"))
        assert (small, same) == (png(), "image/png")


async def test_what_the_job_may_not_read_nobody_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        await world.resolver.thumbs.small(wanted("s3://parts/good.png"))
        for text, policy, code in (
            ("s3://parts/good.png", MediaPolicy(allow=("s3://others/*",)), "image_not_allowed"),
            ("https://169.254.169.254/a.png", MediaPolicy(), "image_not_allowed"),
            ("s3://parts/none.png", MediaPolicy(), "image_not_found"),
            ("s3://parts/good.png", MediaPolicy(max_bytes=10), "image_too_large"),
        ):
            for look in (world.resolver.thumbs.small, world.resolver.thumbs.whole):
                with pytest.raises(MediaError) as error:
                    await look(wanted(text, policy))
                assert error.value.code == code
