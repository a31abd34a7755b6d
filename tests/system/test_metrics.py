"""What a scrape of a real server says after a real batch, and that it says everything the reference promises."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import msgspec
import openai
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from tests.fakes.engine import engine_process

from pronk.demo.processes import Child
from pronk.demo.stack import s3_server, server_url
from pronk.settings import child_environment
from pronk.telemetry import Folder
from pronk.telemetry.scrape import VARIABLE

ROOT = Path(__file__).parents[2]
SETTINGS = """
[engines.qwen]
urls = ["{engine}"]
max_tries = 2
"""
REFERENCES = ("red.png", "red.png", "blue.png", "missing.png")
MODELS = ("m", "m", "status-400", "status-500")
Sample = tuple[str, frozenset[tuple[str, str]]]


class Scraped:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family.type for family in text_string_to_metric_families(text)}
        self._samples: dict[Sample, float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a name that have these labels."""
        wanted = set(labels.items())
        return sum(value for (each, has), value in self._samples.items() if each == name and wanted <= has)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "buckets/pictures").mkdir(parents=True)
    for color in ("red", "blue"):
        Image.new("RGB", (8, 8), color).save(folder / f"buckets/pictures/{color}.png")
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """The address of a server with two workers, an engine and a store."""
    with engine_process() as engine, s3_server(folder / "buckets", folder / "s3.log") as s3:
        (folder / "pronk.toml").write_text(SETTINGS.format(engine=engine.url))
        command = [sys.executable, "-m", "pronk", "serve", "--config", str(folder / "pronk.toml")]
        command += [
            "--data-dir",
            str(folder / "data"),
            "--port",
            "0",
            "--workers",
            "2",
            "--log-format",
            "json",
        ]
        environment = child_environment(s3.variables, without=("AWS_",))
        server = Child("the server", command, environment, folder / "log")
        try:
            yield server.wait_for(server_url, 30)
        finally:
            server.end()


@pytest.fixture(scope="module")
def batch(url: str) -> tuple[openai.types.Batch, list[dict[str, int]]]:
    """A batch that has ended, and the usage of its answers."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    lines = [_line(f"s3://pictures/{name}", "m") for name in REFERENCES] + [
        _line("", each) for each in MODELS
    ]
    data = b"".join(
        msgspec.json.encode({"custom_id": str(i), **line}) + b"\n" for i, line in enumerate(lines)
    )
    file = client.files.create(file=("input.jsonl", data), purpose="batch")
    batch_id = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    ).id
    while (batch := client.batches.retrieve(batch_id)).status != "completed":
        time.sleep(0.05)
    output = client.files.content(batch.output_file_id or "").text.splitlines()
    return batch, [msgspec.json.decode(line)["response"]["body"]["usage"] for line in output]


@pytest.fixture(scope="module")
def scraped(url: str, batch: object) -> Scraped:
    """A scrape after every worker has put what it counted into its files, which it does once a second."""
    while True:
        found = _scrape(url)
        done = (found("pronk_engine_requests_total"), found("pronk_fetches_total"), found("pronk_workers"))
        if done == (8, 3, 2):
            return found
        time.sleep(0.2)


def test_lines_are_counted_by_what_became_of_them(scraped: Scraped) -> None:
    failed = {
        code: scraped("pronk_lines_total", outcome="failed", code=code)
        for code in ("image_not_found", "400", "500")
    }
    assert scraped("pronk_lines_total", outcome="answered", code="2xx") == 5
    assert failed == {"image_not_found": 1, "400": 1, "500": 1}
    assert scraped("pronk_lines_total") == len(REFERENCES) + len(MODELS)
    assert scraped("pronk_request_retries_total", reason="500") == scraped("pronk_request_retries_total") == 1


def test_tokens_are_those_of_the_answers(
    scraped: Scraped, batch: tuple[openai.types.Batch, list[dict[str, int]]]
) -> None:
    _, usages = batch
    for kind, name in (("input", "prompt_tokens"), ("output", "completion_tokens")):
        assert scraped("pronk_tokens_total", kind=kind) == sum(usage[name] for usage in usages) > 0


def test_references_are_counted_once_each(scraped: Scraped, folder: Path) -> None:
    size = sum(path.stat().st_size for path in (folder / "buckets/pictures").iterdir())
    assert scraped("pronk_fetches_total", scheme="s3", outcome="ok") == 2
    assert scraped("pronk_fetches_total", scheme="s3", outcome="image_not_found") == 1
    assert scraped("pronk_fetch_bytes_total", scheme="s3") == size
    assert scraped("pronk_fetch_seconds_count", scheme="s3") == scraped("pronk_cache_misses_total") == 3
    assert scraped("pronk_cache_hits_total") == 1
    assert scraped("pronk_cache_memory_bytes") == size
    assert scraped("pronk_prefetched_bytes") == 0


def test_engines_are_counted(scraped: Scraped) -> None:
    by_status = {each: scraped("pronk_engine_requests_total", status=each) for each in ("200", "400", "500")}
    assert by_status == {"200": 5, "400": 1, "500": 2}
    assert scraped("pronk_engine_request_seconds_count", engine="qwen") == 8
    assert scraped("pronk_engine_up", engine="qwen", replica="qwen-0") == 1
    assert scraped("pronk_engine_limit", engine="qwen") >= 2
    assert scraped("pronk_engine_in_flight", engine="qwen") == 0


def test_the_queue_is_empty_and_both_workers_live(scraped: Scraped) -> None:
    assert scraped("pronk_workers") == 2
    nothing = (
        "pronk_queue_lines",
        "pronk_queue_age_seconds",
        "pronk_batches",
        "pronk_shards",
        "pronk_outage",
    )
    assert {name: scraped(name) for name in nothing} == dict.fromkeys(nothing, 0)
    assert scraped("pronk_shards_claimed_total") >= 1
    assert scraped("pronk_parts_written_total") >= 1
    assert scraped("pronk_part_bytes_total") > 1000
    assert scraped("pronk_claims_lost_total") == 0
    assert scraped("pronk_store_seconds_count", kind="write") > 5


def test_every_metric_of_the_reference_is_there(scraped: Scraped) -> None:
    page = (ROOT / "docs/reference.md").read_text("utf-8")
    promised = dict(re.findall(r"^\| `(pronk_\w+?)(?:_total)?` \| (\w+) \|", page, re.MULTILINE))
    assert len(promised) > 20
    assert {name: kind for name, kind in scraped.families.items() if name in promised} == promised
    assert set(scraped.families) == set(promised)


def test_what_is_scraped_again_is_the_same(url: str, scraped: Scraped) -> None:
    again = _scrape(url)
    for name in ("pronk_lines_total", "pronk_tokens_total", "pronk_fetches_total", "pronk_part_bytes_total"):
        assert again(name) == scraped(name)


def test_a_worker_that_waits_makes_the_server_not_ready(url: str, folder: Path) -> None:
    """A process that writes beside the workers says that it waits, and dies."""
    waits = "from pronk.telemetry.metrics import *; OUTAGE.labels('storage').set(1); import os; print(os.getpid())"
    shared = folder / "data/metrics"
    done = subprocess.run([sys.executable, "-c", waits], env={VARIABLE: str(shared)}, stdout=PIPE, check=True)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}/ready")
    answer = refused.value.read()
    assert (refused.value.code, b"a worker waits for the storage" in answer) == (503, True), answer
    assert _scrape(url)("pronk_outage", part="storage") == 1
    Folder(shared).bury(int(done.stdout))
    assert urllib.request.urlopen(f"{url}/ready").status == 200


def _scrape(url: str) -> Scraped:
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        return Scraped(answer.read().decode())


def _line(reference: str, model: str) -> dict[str, object]:
    image = [{"type": "image_url", "image_url": {"url": reference}}] if reference else []
    content = [{"type": "text", "text": "What is it?"}, *image]
    body = {"model": model, "messages": [{"role": "user", "content": content}]}
    return {"method": "POST", "url": "/v1/chat/completions", "body": body}


pytestmark = pytest.mark.timeout(60)
