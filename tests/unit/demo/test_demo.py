"""The demo's parts: what it asks, how it judges, and that it leaves no process behind."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pronk.demo.buckets import BUCKETS, fill_buckets
from pronk.demo.processes import Child
from pronk.demo.report import Outcome, read_outcome
from pronk.demo.stack import s3_server
from pronk.demo.tasks import BROKEN, Task, make_tasks
from pronk.domain.errors import UnavailableError
from pronk.settings import child_environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def tasks(folder: Path) -> list[Task]:
    rng = Random(1)
    return make_tasks(fill_buckets(folder, rng), rng)


def test_the_requests_are_many_and_of_every_kind(tasks: list[Task]) -> None:
    kinds = {task.kind for task in tasks}
    assert len(tasks) >= 200
    assert kinds == {"category", "JSON", "words", "two pictures", "broken"}
    assert len({task.custom_id for task in tasks}) == len(tasks)
    assert {task.custom_id for task in tasks if task.expected_code} == set(BROKEN)


def test_some_requests_have_a_system_message_and_some_two_pictures(tasks: list[Task]) -> None:
    bodies = [json.loads(task.line("m"))["body"] for task in tasks]
    assert any(body["messages"][0]["role"] == "system" for body in bodies)
    assert any(len(body["messages"][-1]["content"]) == 3 for body in bodies)
    assert {body["model"] for body in bodies} == {"m"}


def test_every_reference_is_an_object_but_those_that_are_to_be_missing(
    tasks: list[Task], folder: Path
) -> None:
    missing = {
        task.custom_id
        for task in tasks
        for reference in task.references
        if not (folder / reference.removeprefix("s3://")).is_file()
    }
    assert missing == {"missing-key", "missing-bucket"}


def test_what_was_drawn_is_right_and_anything_else_is_not(tasks: list[Task]) -> None:
    asked = [task for task in tasks if task.expected_code is None]
    assert all(task.is_right(task.question.answer(*task.scenes)) for task in asked)
    assert not any(task.is_right("I do not know.") for task in asked)


def test_a_perfect_outcome_has_nothing_unexpected(tasks: list[Task]) -> None:
    outcome = _outcome(tasks)
    assert outcome.unexpected() == []
    assert outcome.score_lines()[-1].split() == ["all", "240", "of", "240", "right", "100.0%"]
    assert len(outcome.error_lines()) == len(BROKEN)
    assert any("[right]" in line for line in outcome.example_lines())


def test_every_flaw_is_told(tasks: list[Task]) -> None:
    perfect = _outcome(tasks)
    name = next(iter(perfect.answers))
    lost = Outcome(perfect.tasks, {k: v for k, v in perfect.answers.items() if k != name}, perfect.errors)
    assert lost.unexpected() == [f"{name} has no result"]
    failed = Outcome(
        perfect.tasks, perfect.answers, {**perfect.errors, name: {"code": "engine_timeout", "message": ""}}
    )
    assert failed.unexpected() == [f"{name} failed with engine_timeout, not answered"]
    wrong = Outcome(perfect.tasks, dict.fromkeys(perfect.answers, "?"), perfect.errors)
    assert wrong.unexpected() == ["only 0% of the answers are right"]


def test_both_shapes_of_the_error_file_are_read(tasks: list[Task], tmp_path: Path) -> None:
    lines: list[Mapping[str, Any]] = [
        {"custom_id": "a", "response": None, "error": {"code": "image_invalid", "message": "cut"}},
        {
            "custom_id": "b",
            "response": {"status_code": 400, "body": {"error": {"message": "no"}}},
            "error": None,
        },
    ]
    path = tmp_path / "errors.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    errors = read_outcome(tasks, None, path).errors
    assert [(error["code"], error["message"]) for error in errors.values()] == [
        ("image_invalid", "cut"),
        ("status 400", "no"),
    ]


def test_a_child_ends_with_everything_that_it_started(tmp_path: Path) -> None:
    """A pipe that both hold ends only when both have ended."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = f"exec 3>{pipe}; sleep 600 & trap '' TERM; wait"
    child = Child("a shell", ["/bin/sh", "-c", script], child_environment({}), tmp_path / "log")
    with pipe.open("rb") as held:
        child.end(grace_seconds=0.1)
        assert held.read() == b""


def test_a_child_that_fails_shows_its_last_words(tmp_path: Path) -> None:
    child = Child(
        "a program",
        [sys.executable, "-c", "raise SystemExit('no disk')"],
        child_environment({}),
        tmp_path / "log",
    )
    with pytest.raises(
        UnavailableError, match=r"a program ended with status 1: no disk \(.*/log says more\)"
    ):
        child.wait_for(lambda _: None, 10)
    child.end()


def test_a_child_that_never_gets_ready_is_not_waited_for_long(tmp_path: Path) -> None:
    child = Child("a sleeper", ["sleep", "600"], child_environment({}), tmp_path / "log")
    with pytest.raises(UnavailableError, match="was not ready after 0 s"):
        child.wait_for(lambda _: None, 0.2)
    child.end()


def test_the_s3_server_asks_for_its_key_and_has_the_buckets(tmp_path: Path, folder: Path) -> None:
    boto3 = pytest.importorskip("boto3")
    with s3_server(folder, tmp_path / "log") as s3:
        known = {"aws_access_key_id": s3.key_id, "aws_secret_access_key": s3.key, "region_name": "us-east-1"}
        listed = boto3.client("s3", endpoint_url=s3.url, **known).list_buckets()["Buckets"]
        assert {bucket["Name"] for bucket in listed} == set(BUCKETS)
        stranger = boto3.client("s3", endpoint_url=s3.url, **{**known, "aws_secret_access_key": "x"})
        with pytest.raises(stranger.exceptions.ClientError):
            stranger.list_buckets()


def _outcome(tasks: list[Task]) -> Outcome:
    """The outcome when everything goes as it should."""
    answers = {task.custom_id: task.question.answer(*task.scenes) for task in tasks if not task.expected_code}
    errors = {
        task.custom_id: {"code": task.expected_code, "message": "m"} for task in tasks if task.expected_code
    }
    return Outcome({task.custom_id: task for task in tasks}, answers, errors)
