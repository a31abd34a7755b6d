"""The API, workers, engines or everything are killed at random while a server runs a batch; its files are those of a calm run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import openai
import pytest
import structlog
from tests.chaos.history import History
from tests.fakes.engine import EngineProcess, engine_process
from tests.system.serving import url_in

from pronk.journal import decode_part

T = TypeVar("T")

log = structlog.get_logger()

VICTIMS = ("api", "worker", "engine", "everything")


class Estate:
    """A server with two workers and two engines, each of which can be killed and is started again."""

    def __init__(self, folder: Path, lives: ExitStack) -> None:
        self._folder = folder
        self._lives = lives
        self._records = [folder / f"asked-{number}.txt" for number in range(2)]
        self._engines = [self._start_engine(number, 0) for number in range(2)]
        self._starts = 0
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self._starts += 1
        told = self._folder / f"serve-{self._starts}.log"
        command = [
            sys.executable,
            "-m",
            "pronk",
            "serve",
            "--port",
            "0",
            "--workers",
            "2",
            "--log-format",
            "json",
        ]
        command += ["--data-dir", str(self._folder / "data"), "--flush-seconds", "0.1"]
        for engine in self._engines:
            command += ["--engine", engine.url]
        with told.open("wb") as sink:
            self.server = subprocess.Popen(command, stderr=sink, cwd=self._folder)
        self._lives.callback(_end, self.server)
        self.client = openai.OpenAI(base_url=f"{url_in(told, self.server)}/v1", api_key="none", max_retries=0)

    def kill(self, victim: str, dice: random.Random) -> None:
        """Kill, and start again what nobody else starts again."""
        workers = _children(self.server.pid)
        if victim == "worker" and workers:
            os.kill(dice.choice(workers), signal.SIGKILL)
        elif victim == "api":
            self._kill_server([])
        elif victim == "engine":
            self._kill_engine(dice.randrange(2))
        elif victim == "everything":
            self._kill_server(workers)
            for number in range(2):
                self._kill_engine(number)

    def revive(self, victim: str) -> None:
        if victim in {"api", "everything"}:
            self.start()

    def asked(self) -> Counter[str]:
        """Return how often each line has been sent."""
        found = [record.read_text().split() for record in self._records if record.exists()]
        return Counter(line for lines in found for line in lines)

    def journalled(self) -> set[str]:
        """Return the lines in whole parts."""
        found = set()
        for part in (self._folder / "data/blobs/journals").rglob("*.jsonl"):
            with suppress(FileNotFoundError):
                found |= {
                    str(msgspec.json.decode(line)["custom_id"]) for _, line in decode_part(part.read_bytes())
                }
        return found

    def _kill_server(self, workers: list[int]) -> None:
        """The workers go first, so that none sees its parent's end."""
        for pid in [*workers, self.server.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.server.wait()

    def _kill_engine(self, number: int) -> None:
        engine = self._engines[number]
        engine.process.kill()
        engine.process.wait()
        port = int(engine.url.removesuffix("/v1").rpartition(":")[2])
        self._engines[number] = self._start_engine(number, port)

    def _start_engine(self, number: int, port: int) -> EngineProcess:
        arguments = ("--port", str(port), "--record", str(self._records[number]), "--marker", r"line-\d+")
        return self._lives.enter_context(engine_process(*arguments))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(30)


@contextmanager
def estate(folder: Path) -> Iterator[Estate]:
    with ExitStack() as lives:
        yield Estate(folder, lives)


def _patiently(ask: Callable[[], T]) -> T:
    """Ask again while the server is away, as any client would."""
    while True:
        try:
            return ask()
        except (openai.APIConnectionError, openai.InternalServerError):
            time.sleep(0.05)


def _start_batch(place: Estate, lines: int, key: str) -> str:
    requests = [
        {
            "custom_id": f"line-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "delay-0.02", "messages": [{"role": "user", "content": f"line-{number}"}]},
        }
        for number in range(1, lines + 1)
    ]
    data = b"".join(msgspec.json.encode(line) + b"\n" for line in requests)
    file = _patiently(lambda: place.client.files.create(file=("in.jsonl", data), purpose="batch"))
    return _patiently(
        lambda: place.client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="unlimited",  # type: ignore[arg-type]
            extra_headers={"Idempotency-Key": key},
        )
    ).id


def _done(place: Estate, batch_id: str) -> int:
    counts = _patiently(lambda: place.client.batches.retrieve(batch_id)).request_counts
    return counts.completed if counts else 0


def _survives(place: Estate, victims: list[str], dice: random.Random, *, lines: int) -> History:
    """Run one batch, with kills spread over it."""
    before = place.asked()
    batch_id = _start_batch(place, lines, f"key-{dice.random()}")
    history = History([f"line-{number}" for number in range(1, lines + 1)])
    for number, victim in enumerate(victims):
        while _done(place, batch_id) < lines * (number + dice.random()) / (len(victims) + 1):
            time.sleep(0.01)
        place.kill(victim, dice)
        asked, journalled = place.asked() - before, place.journalled()
        if not journalled and len(asked) == lines:
            journalled = set(history.expected)  # it has ended, and its journal is gone
        history.kill(asked, journalled)
        place.revive(victim)
        log.info("killed", victim=victim, in_flight=history.in_flight)
    while (batch := _patiently(lambda: place.client.batches.retrieve(batch_id))).status != "completed":
        assert batch.status in {"validating", "in_progress", "finalizing"}, batch
        time.sleep(0.05)
    text = _patiently(lambda: place.client.files.content(batch.output_file_id or "").text)
    found = [str(msgspec.json.decode(line)["custom_id"]) for line in text.splitlines()]
    assert batch.error_file_id is None
    assert history.verdict(found, place.asked() - before) == {}
    return history


@pytest.mark.timeout(360)
def test_the_api_an_engine_and_everything_may_die(tmp_path: Path) -> None:
    with estate(tmp_path) as place:
        _survives(place, ["engine", "api", "everything"], random.Random(1), lines=900)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [2, 3, 4, 5])
def test_a_hundred_deaths_of_anything(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    with estate(tmp_path) as place:
        for _ in range(5):
            _survives(place, dice.choices(VICTIMS, k=5), dice, lines=1500)
