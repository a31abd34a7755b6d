"""The training pictures, drawn beforehand: 96 by 96 bytes each, cut and scaled as the engines do it.

Seeds count up from `FIRST_SEED`; tests and demonstrations draw from seeds below it, so no picture is ever in both.
"""

import io
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from random import Random

import numpy as np
from network import IMAGE_SIZE
from PIL import Image

from pronk.demo.scene import COLORS, COUNTS, SHAPES, Scene, imagine, paint

FIRST_SEED = 1_000_000
CHUNK = 1000


@dataclass(frozen=True)
class Pool:
    """Which pictures: how many, from which seed on, and how many of them show a lone object by order rather than by chance.

    A lone object is the hardest to name, because there is only one instance of it to look at, anywhere and of any size.
    """

    count: int
    first_seed: int = FIRST_SEED
    lone: float = 0.0


def load(folder: Path, pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 [N, 96, 96, 3] and truth int64 [N, 3] (indices of shape, color, count), drawn once and kept."""
    file = folder / f"pictures-{pool.first_seed}-{pool.count}.npz"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        starts = range(pool.first_seed, pool.first_seed + pool.count, CHUNK)
        with ProcessPoolExecutor(2) as workers:
            parts = list(workers.map(_chunk, starts, repeat(pool.lone)))
        np.savez(
            file, pictures=np.concatenate([p for p, _ in parts]), truth=np.concatenate([t for _, t in parts])
        )
    kept = np.load(file)
    return kept["pictures"], kept["truth"]


def scene_of(truth: np.ndarray) -> Scene:
    """The scene behind one row of truth."""
    return Scene(SHAPES[truth[0]], tuple(COLORS)[truth[1]], COUNTS[truth[2]])


def _chunk(start: int, lone: float) -> tuple[np.ndarray, np.ndarray]:
    pictures = np.empty((CHUNK, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    truth = np.empty((CHUNK, 3), np.int64)
    for row in range(CHUNK):
        rng = Random(start + row)
        scene = imagine(rng)
        if row < lone * CHUNK:
            scene = replace(scene, count=1)
        picture = _worn(paint(scene, rng), rng)
        pictures[row] = np.asarray(_preprocessed(picture, rng))
        truth[row] = (SHAPES.index(scene.shape), tuple(COLORS).index(scene.color), COUNTS.index(scene.count))
    return pictures, truth


def _worn(picture: Image.Image, rng: Random) -> Image.Image:
    """Some pictures pass through JPEG, as most pictures in buckets did."""
    if rng.random() < 0.7:
        return picture
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=rng.randint(60, 95))
    return Image.open(packed).convert("RGB")


def _preprocessed(picture: Image.Image, rng: Random) -> Image.Image:
    """The central square at model size; engines differ in whether scaling down averages or samples, so both are shown."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    size = (IMAGE_SIZE, IMAGE_SIZE)
    if rng.random() < 0.5:
        return picture.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    scale = side / IMAGE_SIZE
    matrix = (scale, 0, left, 0, scale, top)
    return picture.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
