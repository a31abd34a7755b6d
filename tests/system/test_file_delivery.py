"""Pictures reach an engine of this machine as files when it was started so that it may read them, else in the body."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.media.pictures import png

from pronk.app.run import Run, _run
from pronk.domain.batch import Batch
from pronk.domain.bucket import WebRules
from pronk.domain.engine import EngineSpec
from pronk.domain.ids import JobId
from pronk.domain.job import Job, MediaPolicy
from pronk.settings import Secret, Settings

pytestmark = pytest.mark.anyio

SKIPS_FIRST = "import os, sys; os.execv(sys.argv[2], sys.argv[2:])"
"""Stands for an engine that is told which folder it may read."""


def settings_of(folder: Path, engine: EngineSpec) -> Settings:
    job = Job(id=JobId("job-default"), media=MediaPolicy(allow=("file://*",)))
    return Settings(
        data_dir=folder / "data",
        database=Secret(f"sqlite:///{folder}/pronk.db"),
        storage=f"file://{folder}/blobs",
        engines={"default": engine},
        jobs={job.id: job},
        web=WebRules(file_folders=(str(folder / "pictures"),)),
    )


def prepare(folder: Path) -> Run:
    """Draw three pictures, and write a file that asks about each of them."""
    pictures, lines = folder / "pictures", []
    pictures.mkdir()
    for number in range(3):
        (pictures / f"{number}.png").write_bytes(png(8, 8, (number, 0, 0)))
        part = {"type": "image_url", "image_url": {"url": f"file://{pictures}/{number}.png"}}
        body = {"model": "m", "messages": [{"role": "user", "content": [part]}]}
        line = {"custom_id": str(number), "method": "POST", "url": "/v1/chat/completions", "body": body}
        lines.append(json.dumps(line))
    (folder / "in.jsonl").write_text("\n".join(lines))
    return Run(
        input=str(folder / "in.jsonl"),
        output=str(folder / "out.jsonl"),
        errors=str(folder / "errors.jsonl"),
    )


def pictures_seen(record: Path) -> list[str]:
    """Return the URLs that the engine got, sorted."""
    bodies = [json.loads(line) for line in record.read_text().splitlines()]
    return sorted(body["messages"][0]["content"][0]["image_url"]["url"] for body in bodies)


@pytest.mark.parametrize("argument", ["{media_dir}", "nothing"])
async def test_a_launched_engine(tmp_path: Path, argument: str) -> None:
    record = tmp_path / "seen"
    fake = f"{sys.executable} -m tests.fakes.engine --port {{port}} --outlive --record {record}"
    engine = EngineSpec(launch=f"{sys.executable} -c '{SKIPS_FIRST}' {argument} {fake}")
    looks: list[Sequence[Batch]] = []
    await _run(settings_of(tmp_path, engine), [prepare(tmp_path)], looks.append)
    assert looks[-1][0].counts.completed == 3
    urls = pictures_seen(record)
    if argument == "nothing":
        assert all(url.startswith("data:image/png;base64,") for url in urls)
        return
    paths = [Path(url.removeprefix("file://")) for url in urls]
    assert all(path.is_relative_to(tmp_path / "data" / "cache" / "objects") for path in paths)
    assert {path.read_bytes() for path in paths} == {png(8, 8, (number, 0, 0)) for number in range(3)}
