"""file:// references: below the named folder only, through no link, whatever happens meanwhile."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import anyio
import pytest
from tests.media.attack import REFUSED, refusals, watched_world
from tests.media.pictures import png

from pronk.domain.bucket import WebRules
from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy
from pronk.media.line import Resolved

pytestmark = pytest.mark.anyio


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Return a folder that may be read, with links that lead out of it and things that are no files."""
    inside, outside = tmp_path / "media", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "good.png").write_bytes(png())
    (inside / "sub").mkdir()
    (inside / "sub" / "good #?%20.png").write_bytes(png())
    (outside / "secret.png").write_bytes(png())
    (inside / "link.png").symlink_to(outside / "secret.png")
    (inside / "relative.png").symlink_to("../outside/secret.png")
    (inside / "linked").symlink_to(outside)
    (inside / "loop").symlink_to("loop")
    (inside / "dangling.png").symlink_to(outside / "none.png")
    (inside / "zero.png").symlink_to("/dev/zero")
    (inside / "self.png").symlink_to("/proc/self/environ")
    (tmp_path / "media-evil").mkdir()
    (tmp_path / "media-evil" / "secret.png").write_bytes(png())
    os.mkfifo(inside / "pipe.png")
    (inside / "big.png").write_bytes(png() + b"\0" * 30_000_000)
    return inside


FILES = (
    "{folder}/link.png",
    "{folder}/relative.png",
    "{folder}/linked/secret.png",
    "{folder}/loop",
    "{folder}/loop/a.png",
    "{folder}/dangling.png",
    "{folder}/zero.png",
    "{folder}/self.png",
    "{folder}/pipe.png",
    "{folder}",
    "{folder}/",
    "{folder}/sub",
    "{folder}/sub/..",
    "{folder}/..",
    "{folder}/../outside/secret.png",
    "{folder}/sub/../../outside/secret.png",
    "{folder}/%2e%2e/outside/secret.png",
    "{folder}/..%2foutside%2fsecret.png",
    "{folder}-evil/secret.png",
    "{folder}//../outside/secret.png",
    "{folder}/good.png/../../outside/secret.png",
    "{folder}/good.png\0.jpg",
    "{folder}/" + "a/" * 3000 + "b.png",
    "{folder}/none.png",
    "{folder}/big.png",
    "/etc/passwd",
    "/dev/zero",
    "/dev/stdin",
    "/proc/self/environ",
    "/proc/self/fd/0",
    "localhost{folder}/good.png",
    "evil.test{folder}/good.png",
    "../good.png",
)


async def test_files_below_the_named_folder_only(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web = WebRules(allow_http=True, file_folders=(str(folders),))
    policy = MediaPolicy(allow=("file://*",))
    async with watched_world(monkeypatch, web) as world:
        references = [f"file://{row.replace('{folder}', str(folders))}" for row in FILES]
        codes = REFUSED | {"image_not_found", "image_too_large", "image_invalid"}
        wrong = await refusals(world, references, codes, policy)
        assert {name for name in wrong if not name.startswith("file://localhost")} == set()
        for name in ("good.png", "sub/good%20%23%3F%2520.png"):
            assert isinstance(await world.outcome(f"file://{folders}/{name}", policy=policy), Resolved), name


async def test_no_folder_named_means_no_file(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        for policy in (MediaPolicy(), MediaPolicy(allow=("file://*", "*"))):
            assert await refusals(world, [f"file://{folders}/good.png"], REFUSED, policy) == {}


async def test_a_file_swapped_for_a_link_meanwhile(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web = WebRules(file_folders=(str(folders),))
    marked = png(5, 5, (1, 2, 3))
    (folders.parent / "outside" / "secret.png").write_bytes(marked)
    async with watched_world(monkeypatch, web) as world, anyio.create_task_group() as group:
        group.start_soon(
            anyio.to_thread.run_sync,
            swap,
            folders / "swap.png",
            folders.parent / "outside" / "secret.png",
        )
        for number in range(200):
            answer = await world.outcome(
                f"file://{folders}/swap.png", policy=MediaPolicy(allow=("file://*",))
            )
            assert isinstance(answer, MediaError) or base64.b64encode(marked) not in answer.body, number


def swap(path: Path, secret: Path) -> None:
    """Replace a file by a link and back, a thousand times."""
    for number in range(1000):
        new = path.with_suffix(".new")
        if number % 2:
            new.symlink_to(secret)
        else:
            new.write_bytes(png())
        new.replace(path)
