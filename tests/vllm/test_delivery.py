"""Pictures by data URL, by file and with a uuid, answered by a real vLLM: the same answers, however they come."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import urllib3
from tests.vllm.engine import PYTHON
from tests.vllm.stack import QUESTIONS, Asked, Done, Stack, draw_pictures, running

from pronk.demo.tasks import Task
from pronk.engines.gauges import read_gauges

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]

PICTURES = 20
JOBS = ("data", "file", "uuid")
ROUNDS = 3
QUERIES, HITS = "vllm:mm_cache_queries", "vllm:mm_cache_hits"
RECEIVED = "http_request_size_bytes_sum"
TEXT_BYTES = 1_500
"""More than a request of ours takes without its picture."""

_LIMIT = re.compile(r'^pronk_engine_limit\{.*replica="(\S+)".*\} ([0-9.]+)$', re.MULTILINE)
log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything runs."""
    return tmp_path_factory.mktemp("vllm")


@pytest.fixture(scope="module")
def asked(folder: Path) -> dict[str, Asked]:
    """Pictures for each test, so that none meets what another has left in a cache."""
    counts = {
        "equal": 2 * PICTURES,
        "by file": PICTURES,
        "known again": PICTURES,
        "forgotten": PICTURES,
        "limit": PICTURES,
    }
    counts |= {f"{job} {turn}": 2 * PICTURES for turn in range(ROUNDS) for job in JOBS}
    return {
        name: draw_pictures(folder / "buckets", count, seed)
        for seed, (name, count) in enumerate(counts.items())
    }


@pytest.fixture(scope="module")
def stack(folder: Path, asked: dict[str, Asked]) -> Iterator[Stack]:
    """Everything that runs; ends with nothing left of it."""
    if not PYTHON.exists():
        pytest.fail(f"there is no vLLM in {PYTHON.parents[1]}; run: make test-vllm")
    with pytest.MonkeyPatch.context() as patch, running(folder) as stack:
        patch.setattr("pronk.cli.batches.POLL_SECONDS", 0.1)
        yield stack
    assert _still_writing(folder) == []


def test_answers_are_right_and_equal_by_data_file_and_uuid(stack: Stack, asked: dict[str, Asked]) -> None:
    tasks = asked["equal"].tasks
    outcomes = {job: stack.run(tasks, job).outcome for job in JOBS}
    for job, outcome in outcomes.items():
        log.info("%s: %d of %d answers are right", job, len(outcome.right), len(tasks))
        assert outcome.unexpected() == []
    assert outcomes["data"].answers == outcomes["file"].answers == outcomes["uuid"].answers


def test_pictures_by_file_are_not_in_the_requests(stack: Stack, asked: dict[str, Asked]) -> None:
    by_file = _received(stack, asked["by file"], "file")
    by_data = _received(stack, asked["by file"], "data")
    assert 0 < by_file < len(asked["by file"].tasks) * TEXT_BYTES
    assert by_data > by_file + len(QUESTIONS) * sum(path.stat().st_size for path in asked["by file"].pictures)


def test_vllm_knows_pictures_again_by_their_uuid(stack: Stack, asked: dict[str, Asked]) -> None:
    tasks = asked["known again"].tasks
    stack.run(tasks, "data")  # known by their content now, which a uuid takes the place of
    assert _looked_up_and_known(stack, tasks) == (len(tasks), len(tasks) - PICTURES)
    assert _looked_up_and_known(stack, tasks) == (len(tasks), len(tasks))


def test_a_picture_that_vllm_has_lost_is_answered_all_the_same(stack: Stack, asked: dict[str, Asked]) -> None:
    """Its bytes go along with every request, so nobody has to ask for them again."""
    tasks = asked["forgotten"].tasks
    before = stack.run(tasks, "uuid").outcome
    stack.vllm.forget_pictures()
    assert _looked_up_and_known(stack, tasks) == (len(tasks), len(tasks) - PICTURES)
    stack.vllm.forget_pictures()
    after = stack.run(tasks, "uuid").outcome
    assert after.unexpected() == []
    assert after.answers == before.answers


def test_the_limit_is_found_with_what_vllm_says_of_itself(stack: Stack, asked: dict[str, Asked]) -> None:
    assert stack.run(asked["limit"].tasks, "data").outcome.unexpected() == []
    gauges = read_gauges(stack.vllm.metrics())
    assert gauges is not None
    assert (gauges.running, gauges.waiting) == (0, 0)
    assert stack.vllm.looks_of_others() > 0
    limits = dict(_LIMIT.findall(urllib3.request("GET", f"{stack.client.url}/metrics").data.decode()))
    log.info("limits %s", limits)
    assert limits.keys() == {"plain-0", "known-0"}
    assert all(float(limit) >= 1 for limit in limits.values())
    assert stack.complaints() == []


def test_figures(stack: Stack, asked: dict[str, Asked]) -> None:
    """The ways take turns, each going first once, so that what else the machine does hits all of them."""
    done: dict[str, list[Done]] = {job: [] for job in JOBS}
    for turn in range(ROUNDS):
        for job in (*JOBS[turn:], *JOBS[:turn]):
            done[job].append(stack.run(asked[f"{job} {turn}"].tasks, job))
    for job, batches in done.items():
        answers = sum(len(batch.outcome.answers) for batch in batches)
        right = sum(len(batch.outcome.right) for batch in batches)
        rate = answers / sum(batch.seconds for batch in batches)
        log.info("%s: %.1f requests/s, %d of %d right", job, rate, right, answers)
        assert [batch.outcome.errors for batch in batches] == [{}] * ROUNDS
        assert right >= 0.9 * answers


def _received(stack: Stack, asked: Asked, job: str) -> int:
    """Return how many bytes of requests a batch was to vLLM."""
    before = stack.vllm.counted(RECEIVED)
    assert stack.run(asked.tasks, job).outcome.unexpected() == []
    return stack.vllm.counted(RECEIVED) - before


def _looked_up_and_known(stack: Stack, tasks: Sequence[Task]) -> tuple[int, int]:
    """Return how many pictures vLLM looked up in its cache for a batch with uuids, and how many it found."""
    before = stack.vllm.counted(QUERIES), stack.vllm.counted(HITS)
    stack.run(tasks, "uuid")
    return stack.vllm.counted(QUERIES) - before[0], stack.vllm.counted(HITS) - before[1]


def _still_writing(folder: Path) -> list[str]:
    """Return the processes that have a log below `folder` open; one without a command line is ending already."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(each.resolve().is_relative_to(folder) for each in (process / "fd").iterdir()):
                found.append((process / "cmdline").read_text())
    return [command for command in found if command]
