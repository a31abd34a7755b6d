"""Pronk between an S3 server and a real vLLM, and batches sent through its HTTP API."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from tests.vllm.engine import MODEL, Vllm, vllm_server

from pronk.cli.batches import follow
from pronk.cli.client import Client
from pronk.demo.processes import Child
from pronk.demo.report import Outcome, read_outcome
from pronk.demo.shapes import CATEGORY_QUESTION, JSON_QUESTION, WORDS_QUESTION, draw
from pronk.demo.stack import S3, s3_server, server_url
from pronk.demo.tasks import Task
from pronk.settings import ClientSettings, child_environment

QUESTIONS = {"category": CATEGORY_QUESTION, "json": JSON_QUESTION, "words": WORDS_QUESTION}
SERVER_SECONDS = 120.0
SETTINGS = """
[engines.plain]
urls = ["{url}"]
[engines.known]
urls = ["{url}"]
kind = "vllm"
[jobs.data]
engine = "plain"
media.deliver = "data"
[jobs.file]
engine = "plain"
media.deliver = "file"
[jobs.uuid]
engine = "known"
media.deliver = "data"
"""
"""Job, engine and delivery of the same pictures; both pools are the same vLLM."""


class Event(msgspec.Struct):
    """A line of pronk's log."""

    event: str
    level: str = "info"


@dataclass(frozen=True)
class Done:
    """A batch that has ended. `seconds` is from its creation until it was seen to have completed."""

    outcome: Outcome
    seconds: float


@dataclass(frozen=True)
class Asked:
    """Pictures that lie in a bucket, and every question about each in a mixed order."""

    pictures: tuple[Path, ...]
    tasks: tuple[Task, ...]


def draw_pictures(buckets: Path, count: int, seed: int) -> Asked:
    """Draw pictures that no other seed gives. The S3 server must not run yet: it does not look for new folders."""
    rng = Random(seed)
    pictures, tasks = [], []
    for number in range(count):
        picture, scene = draw(rng)
        name = f"{seed}/{number:03d}.{rng.choice(('png', 'jpg', 'webp'))}"
        pictures.append(buckets / "shapes" / name)
        pictures[-1].parent.mkdir(parents=True, exist_ok=True)
        picture.save(pictures[-1], quality=92)
        tasks += [
            Task(f"{kind}-{number:03d}", kind, (f"s3://shapes/{name}",), question, (scene,))
            for kind, question in QUESTIONS.items()
        ]
    rng.shuffle(tasks)
    return Asked(tuple(pictures), tuple(tasks))


@dataclass(frozen=True)
class Stack:
    """What runs, and the `folder` where all of it writes."""

    folder: Path
    vllm: Vllm
    client: Client

    def run(self, tasks: Sequence[Task], job: str) -> Done:
        """Send one batch for a job and wait for its results."""
        source = self.folder / "input.jsonl"
        source.write_text("".join(task.line(MODEL) + "\n" for task in tasks), encoding="utf-8")
        uploaded = self.client.upload(source, "batch")
        wanted = {
            "input_file_id": uploaded["id"],
            "endpoint": "/v1/chat/completions",
            "completion_window": "unlimited",
            "job_id": f"job-{job}",
        }
        began = time.monotonic()
        batch: dict[str, Any] = {}
        for now in follow(self.client, self.client.post("/v1/batches", wanted)["id"]):
            batch = now
        seconds = time.monotonic() - began
        assert batch["status"] == "completed", batch
        return Done(
            read_outcome(tasks, self._download(batch, "output"), self._download(batch, "error")), seconds
        )

    def _download(self, batch: dict[str, Any], which: str) -> Path | None:
        file_id = batch[f"{which}_file_id"]
        if file_id is None:
            return None
        path = self.folder / f"{which}.jsonl"
        with path.open("wb") as into:
            self.client.download(file_id, into)
        return path

    def complaints(self) -> list[str]:
        """Return what pronk has logged as a warning or worse."""
        lines = (self.folder / "pronk.log").read_text("utf-8").splitlines()
        events = (msgspec.json.decode(line, type=Event) for line in lines if line.startswith("{"))
        return [event.event for event in events if event.level in {"warning", "error", "critical"}]


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """Start everything below `folder`, where ``buckets`` is filled; all of it has ended with the block."""
    objects = folder / "data/cache/objects"
    objects.mkdir(parents=True)
    with (
        s3_server(folder / "buckets", folder / "s3.log") as s3,
        vllm_server(objects, folder / "vllm.log") as vllm,
        _pronk(folder, vllm, s3) as url,
        Client(ClientSettings(url)) as client,
    ):
        yield Stack(folder, vllm, client)


@contextmanager
def _pronk(folder: Path, vllm: Vllm, s3: S3) -> Iterator[str]:
    settings = folder / "pronk.toml"
    settings.write_text(SETTINGS.format(url=vllm.url), encoding="utf-8")
    command = [sys.executable, "-m", "pronk", "serve", "--config", str(settings), "--port", "0"]
    command += ["--data-dir", str(folder / "data"), "--workers", "1", "--log-format", "json"]
    env = child_environment(s3.variables, without=("AWS_",))
    child = Child("pronk", command, env, folder / "pronk.log")
    try:
        yield child.wait_for(server_url, SERVER_SECONDS)
    finally:
        child.end()
