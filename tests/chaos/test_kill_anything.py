"""The API, workers, engines or everything are killed at random while a server runs a batch; its files are those of a calm run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import msgspec
import openai
import pytest
import structlog
from tests.chaos.history import History
from tests.chaos.storage import BUCKET, s3_storage
from tests.fakes.aws.buckets import Bucket
from tests.fakes.aws.refusals import RefusedError
from tests.fakes.aws.server import Aws
from tests.fakes.engine import EngineProcess, engine_process
from tests.store.cluster import Cluster
from tests.system.serving import url_in

from pronk.journal import decode_part

T = TypeVar("T")

log = structlog.get_logger()

VICTIMS = ("api", "worker", "engine", "everything")


class Estate:
    """A server with two workers and two engines, each of which can be killed and is started again."""

    def __init__(
        self, folder: Path, lives: ExitStack, *, bucket: Bucket | None, arguments: Sequence[str]
    ) -> None:
        self._folder = folder
        self._lives = lives
        self._bucket = bucket
        self._arguments = arguments
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
        command += self._arguments
        for engine in self._engines:
            command += ["--engine", engine.url]
        with told.open("wb") as sink:
            self.server = subprocess.Popen(command, stderr=sink, cwd=self._folder)
        self._lives.callback(_end, self.server)
        self.client = openai.OpenAI(base_url=f"{url_in(told, self.server)}/v1", api_key="none", max_retries=0)

    def kill(self, victim: str, dice: random.Random) -> tuple[Counter[str], set[str]]:
        """Kill; return what had been sent then and what was durable, for which server and workers stand still."""
        self.server.send_signal(signal.SIGSTOP)
        workers = _children(self.server.pid)
        _signal(workers, signal.SIGSTOP)
        engines: list[int] = []
        if victim == "worker" and workers:
            _signal([workers.pop(dice.randrange(len(workers)))], signal.SIGKILL)
        elif victim == "api":
            self._kill_server([])
        elif victim == "engine":
            engines = [dice.randrange(2)]
        elif victim == "everything":
            self._kill_server(workers)
            engines = [0, 1]
        self._kill_engines(engines)
        self._wait_for_what_is_under_way(engines)
        durable = self.journalled()
        asked = self.asked()
        _signal(workers, signal.SIGCONT)
        self.server.send_signal(signal.SIGCONT)
        self._restart_engines(engines)
        return asked, durable

    def revive(self, victim: str) -> None:
        """Start again what nobody else starts again."""
        if victim in {"api", "everything"}:
            self.start()

    def asked(self) -> Counter[str]:
        """Return how often each line has been sent."""
        found = [record.read_text().split() for record in self._records if record.exists()]
        return Counter(line for lines in found for line in lines)

    def journalled(self) -> set[str]:
        """Return the lines in whole parts."""
        return {
            str(msgspec.json.decode(line)["custom_id"])
            for part in self._parts()
            for _, line in decode_part(part)
        }

    def _parts(self) -> Iterator[bytes]:
        if self._bucket is not None:
            for name in self._bucket.keys_after("", "pronk/journals/"):
                with suppress(RefusedError):
                    yield self._bucket.get(name).body or b""
            return
        for path in (self._folder / "data/blobs/journals").rglob("*.jsonl"):
            with suppress(FileNotFoundError):
                yield path.read_bytes()

    def _kill_server(self, workers: list[int]) -> None:
        """The workers go first, so that none sees its parent's end."""
        _signal([*workers, self.server.pid], signal.SIGKILL)
        self.server.wait()

    def _kill_engines(self, numbers: list[int]) -> None:
        for number in numbers:
            self._engines[number].process.kill()
            self._engines[number].process.wait()

    def _restart_engines(self, numbers: list[int]) -> None:
        for number in numbers:
            port = int(self._engines[number].url.removesuffix("/v1").rpartition(":")[2])
            self._engines[number] = self._start_engine(number, port)

    def _wait_for_what_is_under_way(self, dead: list[int]) -> None:
        """What was sent before an engine is asked something has been written down when it answers for the second time."""
        for number in {0, 1} - set(dead):
            self._engines[number].control()
            self._engines[number].control()

    def _start_engine(self, number: int, port: int) -> EngineProcess:
        arguments = ("--port", str(port), "--record", str(self._records[number]), "--marker", r"line-\d+")
        return self._lives.enter_context(engine_process(*arguments))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(30)


@contextmanager
def estate(folder: Path, *, bucket: Bucket | None = None, arguments: Sequence[str] = ()) -> Iterator[Estate]:
    """Give a server on SQLite and disk; or on what the arguments say, with its storage in this bucket."""
    with ExitStack() as lives:
        yield Estate(folder, lives, bucket=bucket, arguments=arguments)


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


def _survives(place: Estate, victims: list[str], dice: random.Random, *, lines: int) -> Counter[str]:
    """Run one batch, with kills spread over it; return how often each victim died before it had ended."""
    before = place.asked()
    batch_id = _start_batch(place, lines, f"key-{dice.random()}")
    history = History([f"line-{number}" for number in range(1, lines + 1)])
    deaths: Counter[str] = Counter()
    for number, victim in enumerate(victims):
        while _done(place, batch_id) < lines * (number + dice.random()) / (len(victims) + 1):
            time.sleep(0.01)
        all_asked, journalled = place.kill(victim, dice)
        asked = all_asked - before
        has_ended = not journalled and len(asked) == lines  # its journal is gone
        deaths[victim] += not has_ended
        history.kill(asked, set(history.expected) if has_ended else journalled)
        place.revive(victim)
        log.info("killed", victim=victim, in_flight=history.in_flight, has_ended=has_ended)
    while (batch := _patiently(lambda: place.client.batches.retrieve(batch_id))).status != "completed":
        assert batch.status in {"validating", "in_progress", "finalizing"}, batch
        time.sleep(0.05)
    text = _patiently(lambda: place.client.files.content(batch.output_file_id or "").text)
    found = [str(msgspec.json.decode(line)["custom_id"]) for line in text.splitlines()]
    assert batch.error_file_id is None
    assert history.verdict(found, place.asked() - before) == {}
    return deaths


@pytest.mark.timeout(360)
def test_the_api_an_engine_and_everything_may_die(tmp_path: Path) -> None:
    with estate(tmp_path) as place:
        _survives(place, ["engine", "api", "everything"], random.Random(1), lines=900)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_a_hundred_deaths_of_anything(tmp_path: Path) -> None:
    with estate(tmp_path) as place:
        _dies_a_hundred_times(place, random.Random(2))


@pytest.mark.chaos
@pytest.mark.anyio
@pytest.mark.timeout(3600)
async def test_a_hundred_deaths_of_anything_on_postgres_and_s3(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = Aws()
    async with s3_storage(monkeypatch, aws) as storage:
        arguments = ["--database", cluster.make_schema(), "--storage", storage]

        def run() -> None:
            with estate(tmp_path, bucket=aws.buckets[BUCKET], arguments=arguments) as place:
                _dies_a_hundred_times(place, random.Random(3))

        await anyio.to_thread.run_sync(run)


def _dies_a_hundred_times(place: Estate, dice: random.Random) -> None:
    """Only deaths within a batch count."""
    deaths: Counter[str] = Counter()
    while deaths.total() < 100:
        deaths += _survives(place, dice.choices(VICTIMS, k=5), dice, lines=1500)
        log.info("survived", **deaths)
