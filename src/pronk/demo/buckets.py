"""Two buckets of drawn pictures as folders, with some objects on purpose not what they seem."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from PIL import Image

from pronk.demo.shapes import Scene, draw

BUCKETS: Final = {"shapes": 130, "shapes-eu": 70}
"""Buckets and how many pictures lie in each."""

TEXT_KEY: Final = "broken/notes.png"
CUT_KEY: Final = "broken/cut.jpg"
EMPTY_KEY: Final = "broken/empty.png"
MISSING_KEY: Final = "drawn/no-such-picture.png"
MISSING_BUCKET: Final = "no-such-bucket"


@dataclass(frozen=True)
class Stored:
    """A picture in a bucket, and what it shows."""

    reference: str
    scene: Scene


def fill_buckets(folder: Path, rng: Random) -> dict[str, list[Stored]]:
    """Draw all pictures below `folder`, one folder a bucket; return them by bucket."""
    stored = {bucket: list(_fill(folder / bucket, count, rng)) for bucket, count in BUCKETS.items()}
    _add_broken(folder / "shapes", rng)
    return stored


def _fill(bucket: Path, count: int, rng: Random) -> Iterator[Stored]:
    for number in range(count):
        picture, scene = draw(rng)
        ending = rng.choice(("png", "png", "jpg", "webp"))
        key = (
            f"drawn/{number // 50}/img {number:04d}.{ending}"
            if number % 10 == 0
            else f"drawn/{number:04d}.{ending}"
        )
        path = bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=92)
        yield Stored(f"s3://{bucket.name}/{key}", scene)


def _add_broken(bucket: Path, rng: Random) -> None:
    (bucket / "broken").mkdir()
    (bucket / TEXT_KEY).write_text("This is a note, whatever its name says.\n")
    (bucket / EMPTY_KEY).touch()
    whole = bucket / "broken/whole.jpg"
    _large(rng).save(whole, quality=95)
    (bucket / CUT_KEY).write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    whole.unlink()


def _large(rng: Random) -> Image.Image:
    picture, _ = draw(rng)
    return picture.resize((320, 320))
