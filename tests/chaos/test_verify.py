"""``pronk verify``: a sound batch is called sound, and every kind of damage is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.worker.world import World, open_world, request_file, request_line

from pronk.cli.main import main
from pronk.domain.batch import Batch
from pronk.domain.ids import new_worker_id
from pronk.journal import Journal, Mark, Part
from pronk.lifecycle.verify import Verdict, Verify

pytestmark = pytest.mark.anyio

Harm = Callable[[Path], None]


async def _verified(world: World, batch_id: str) -> Verdict:
    return await Verify(world.store, world.blobs)(batch_id)


async def _ended(world: World, data: bytes) -> Batch:
    async with world.working():
        return await world.until_ended(await world.add_batch(data))


async def test_a_batch_that_ended_is_sound(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        batch = await _ended(world, request_file(30) + request_line(31, model="status-400"))
        verdict = await _verified(world, batch.id)
    assert verdict.problems == []
    assert (verdict.lines, verdict.answered, verdict.failed) == (31, 30, 1)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


@pytest.mark.parametrize("harm", [_flip, _cut, Path.unlink])
@pytest.mark.parametrize("which", ["input", "output"])
async def test_harm_to_a_file_is_named(tmp_path: Path, which: str, harm: Harm) -> None:
    async with open_world(tmp_path) as world:
        batch = await _ended(world, request_file(30))
        name = batch.input_file_id if which == "input" else batch.output_file_id
        harm(tmp_path / "blobs/files" / str(name))
        verdict = await _verified(world, batch.id)
    assert not verdict.is_sound
    assert str(name) in verdict.problems[0]


async def test_a_damaged_part_of_a_running_batch_is_named(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        batch_id = await world.add_batch(request_file(20))
        await world.take_in(new_worker_id())
        found = await world.store.shards.claim("default", new_worker_id(), until=world.now() + 60)
        assert found is not None
        part = Part()
        part.add(Mark(1, 3), b"{}\n")
        await Journal(world.blobs).append(found[1].claim, 1, part)
        sound = await _verified(world, batch_id)
        for path in _parts(tmp_path):
            _flip(path)
        verdict = await _verified(world, batch_id)
    assert (sound.problems, sound.parts, sound.answered) == ([], 1, 1)
    assert "is damaged" in verdict.problems[0]


def _parts(folder: Path) -> list[Path]:
    return sorted((folder / "blobs/journals").rglob("*.jsonl"))


async def test_the_command_says_it_with_its_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_world(tmp_path) as world:
        batch = await _ended(world, request_file(5))
    command = ["verify", batch.id, "--database", f"sqlite://{tmp_path}/pronk.db"]
    command += ["--storage", f"file://{tmp_path}/blobs", "--json"]
    await _exits(command, 0)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["sound"], told["answered"]) == (True, 5)
    (tmp_path / "blobs/files" / str(batch.output_file_id)).unlink()
    await _exits(command[:-1], 1)
    assert "PROBLEM" in capsys.readouterr().out


async def _exits(command: list[str], code: int) -> None:
    from anyio import to_thread

    with pytest.raises(SystemExit) as ended:
        await to_thread.run_sync(main, command)
    assert ended.value.code == code
