"""Pictures of drawn shapes whose truth is known: five shapes, eight colors, one to four objects, any background.

All chance comes from the caller's `random.Random`, so a seed names a picture on every machine.
The objects lie in the central square of the picture, because CLIP's preprocessing shows a model nothing else.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageOps

SHAPES = ("circle", "square", "triangle", "star", "cross")
COLORS = {
    "red": (220, 40, 40),
    "green": (40, 160, 60),
    "blue": (45, 85, 220),
    "yellow": (240, 220, 50),
    "orange": (245, 140, 30),
    "purple": (140, 60, 180),
    "black": (20, 20, 20),
    "white": (245, 245, 245),
}
COUNTS = (1, 2, 3, 4)

_SHORT_SIDES = (96, 128, 160, 192, 224, 256)
_ASPECTS = ((1, 1), (1, 1), (1, 1), (4, 3), (3, 2), (16, 9), (3, 4), (2, 3))
# Background textures are tiny random grids, enlarged: plain, two-tone, clouds, stripes, checks.
_GRIDS = ((1, 1), (1, 1), (1, 2), (2, 1), (2, 2), (4, 4), (1, 8), (8, 1), (6, 6))
_RADII = {1: (0.13, 0.21), 2: (0.115, 0.145), 3: (0.115, 0.145), 4: (0.115, 0.145)}
_CELLS = 3
_CONTRAST = 140
_OVERSAMPLING = 2

Rgb = tuple[int, int, int]
Disc = tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """What a picture shows: `count` objects of one shape and one color."""

    shape: str
    color: str
    count: int

    def __str__(self) -> str:
        return f"{self.count} {self.color} {plural(self.shape) if self.count > 1 else self.shape}"


def plural(shape: str) -> str:
    """`circles`, `crosses`."""
    return shape + ("es" if shape.endswith("s") else "s")


def draw(rng: Random) -> tuple[Image.Image, Scene]:
    """A picture (RGB, short side 96 to 320 pixels, several aspect ratios) and its truth."""
    scene = imagine(rng)
    return paint(scene, rng), scene


def imagine(rng: Random) -> Scene:
    """Any scene, all being equally likely."""
    return Scene(rng.choice(SHAPES), rng.choice(tuple(COLORS)), rng.choice(COUNTS))


def paint(scene: Scene, rng: Random) -> Image.Image:
    """One of the many pictures that show `scene`."""
    short, (wide, high) = rng.choice(_SHORT_SIDES), rng.choice(_ASPECTS)
    scale = short * _OVERSAMPLING / min(wide, high)
    size = (round(wide * scale), round(high * scale))
    fill = _near(COLORS[scene.color], 15, rng)
    picture = _background(size, fill, rng)
    pen = ImageDraw.Draw(picture)
    side = min(size)
    left, top = (size[0] - side) / 2, (size[1] - side) / 2
    for x, y, radius in _places(scene.count, rng):
        _draw_shape(pen, scene.shape, (left + x * side, top + y * side, radius * side), fill, rng)
    return _noisy(picture.reduce(_OVERSAMPLING), rng)


def _near(color: Rgb, spread: int, rng: Random) -> Rgb:
    red, green, blue = (min(255, max(0, part + rng.randint(-spread, spread))) for part in color)
    return red, green, blue


def _background(size: tuple[int, int], fill: Rgb, rng: Random) -> Image.Image:
    """A texture between two related colors, both well apart from `fill`."""
    one = _apart(fill, (128, 128, 128), 128, rng)
    other = _apart(fill, one, 45, rng)
    columns, rows = rng.choice(_GRIDS)
    grid = Image.frombytes("L", (columns, rows), rng.randbytes(columns * rows))
    texture = grid.resize(size, rng.choice((Image.Resampling.BICUBIC, Image.Resampling.NEAREST)))
    return ImageOps.colorize(texture, one, other)


def _apart(fill: Rgb, around: Rgb, spread: int, rng: Random) -> Rgb:
    while True:
        color = _near(around, spread, rng)
        if math.dist(color, fill) >= _CONTRAST:
            return color


def _places(count: int, rng: Random) -> list[Disc]:
    """Centers and radii in the unit square: a lone object anywhere, several in cells of their own, off the middle."""
    radius = rng.uniform(*_RADII[count])
    if count == 1:
        return [
            (rng.uniform(radius + 0.02, 0.98 - radius), rng.uniform(radius + 0.02, 0.98 - radius), radius)
        ]
    slack = 0.5 / _CELLS - radius - 0.01
    return [
        (
            (cell % _CELLS + 0.5) / _CELLS + rng.uniform(-slack, slack),
            (cell // _CELLS + 0.5) / _CELLS + rng.uniform(-slack, slack),
            radius * rng.uniform(0.9, 1.0),
        )
        for cell in rng.sample(range(_CELLS**2), count)
    ]


def _draw_shape(pen: ImageDraw.ImageDraw, shape: str, disc: Disc, fill: Rgb, rng: Random) -> None:
    x, y, radius = disc
    if shape == "circle":
        inner = radius * 0.88
        pen.ellipse((x - inner, y - inner, x + inner, y + inner), fill=fill)
        return
    turn = math.radians(rng.uniform(-15, 15))
    points = [
        (x + radius * r * math.sin(angle + turn), y - radius * r * math.cos(angle + turn))
        for r, angle in _outline(shape)
    ]
    pen.polygon(points, fill=fill)


def _outline(shape: str) -> Iterator[tuple[float, float]]:
    """Corners in polar form: fraction of the radius, angle clockwise from the top."""
    if shape == "cross":
        arm = 0.3
        for quarter in range(4):
            for x, y in ((-arm, 1.0), (arm, 1.0), (arm, arm)):
                yield math.hypot(x, y) / math.hypot(arm, 1.0), math.atan2(x, y) + quarter * math.pi / 2
        return
    corners = {"triangle": 3, "square": 4, "star": 5}[shape]
    step = 2 * math.pi / corners
    start = math.pi / 4 if shape == "square" else 0.0
    for k in range(corners):
        yield 1.0, start + k * step
        if shape == "star":
            yield 0.42, start + (k + 0.5) * step


def _noisy(picture: Image.Image, rng: Random) -> Image.Image:
    """Add uniform noise of a random strength to every channel of every pixel."""
    strength = rng.uniform(0.0, 0.25)
    noise = Image.frombytes("RGB", picture.size, rng.randbytes(3 * picture.width * picture.height))
    table = [round(128 + (value - 127.5) * strength) for value in range(256)] * 3
    return ImageChops.add(picture, noise.point(table), 1, -128)
