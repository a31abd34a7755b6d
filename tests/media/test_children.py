"""Picture children that crash or loop, in the middle of other work: a line each, and the pool goes on."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest
from tests.media.pictures import png
from tests.media.world import World, open_world

from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy
from pronk.media.line import Resolved
from pronk.media.resolve import Bounds

pytestmark = pytest.mark.anyio

_PLANTED = """
import io, os, signal, sys, time

def note(what):
    with open(sys.argv[1], "a") as log:
        print(what, time.monotonic(), file=log)

note("start")
from PIL import Image
import pronk.media.pixels as child

real = child.change
def change(data, type_, most):
    colour = Image.open(io.BytesIO(data)).convert("RGB").getpixel((0, 0))
    if colour == (255, 0, 0):
        note("crash")
        os.kill(os.getpid(), signal.SIGSEGV)
    while colour == (0, 0, 255):
        pass
    return real(data, type_, most)

child.change = change
child.main()
"""
SMALLER = MediaPolicy(resize_to_pixels=64)
LEAST = Bounds(processes=1, picture_seconds=2.0)


def width_of(answer: MediaError | Resolved) -> int:
    assert isinstance(answer, Resolved), answer.message
    url = json.loads(answer.body)["messages"][0]["content"][1]["image_url"]["url"]
    return int.from_bytes(base64.b64decode(url.partition(",")[2])[16:20])


def furnish(world: World) -> list[list[str]]:
    """Put twelve pictures into a bucket, two of which end the child that decodes them; return a line for each."""
    colours = [(0, 90 + number, 0) for number in range(12)]
    colours[3], colours[7] = (255, 0, 0), (0, 0, 255)
    for number, colour in enumerate(colours):
        world.aws.buckets["parts"].put(f"{number}.png", png(40, 40, colour))
    return [[f"s3://parts/{number}.png"] for number in range(12)]


async def test_a_crash_and_a_loop_cost_a_line_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "log"
    painter = (sys.executable, "-c", _PLANTED, str(log))
    async with open_world(monkeypatch, painter=painter, bounds=LEAST) as world:
        answers = await world.outcomes(furnish(world), SMALLER)
        crashed, looped = answers.pop(3), answers.pop(6)
        assert isinstance(crashed, MediaError)
        assert isinstance(looped, MediaError)
        assert (crashed.code, crashed.retriable) == ("image_invalid", False)
        assert (looped.code, looped.retriable) == ("image_invalid", False)
        assert crashed.message.endswith("cannot be decoded")
        assert looped.message.endswith("takes too long to decode")
        assert [width_of(answer) for answer in answers] == [8] * 10
        again = await world.outcome("s3://parts/0.png", policy=MediaPolicy(resize_to_pixels=100))
        assert width_of(again) == 10
    check_restarts(log)


def check_restarts(log: Path) -> None:
    """Every child that crashed was followed by another within a second."""
    events = [line.split() for line in log.read_text().splitlines()]
    starts = [float(at) for what, at in events if what == "start"]
    crashes = [float(at) for what, at in events if what == "crash"]
    assert len(crashes) == 2
    assert len(starts) == 4
    for crash in crashes:
        assert min(start for start in starts if start > crash) - crash < 1.0
