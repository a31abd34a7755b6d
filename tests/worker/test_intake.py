"""What intake finds wrong with a file, where, and what it takes as fine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worker.world import CHAT, open_world, request_file, request_line

from pronk.domain.batch import Batch, BatchStatus, Counts
from pronk.domain.ids import DEFAULT_PROJECT, BatchId, FileId, WorkerId, new_worker_id
from pronk.domain.job import DEFAULT_JOB, Job
from pronk.lifecycle.intake import Limits, Reading

pytestmark = pytest.mark.anyio


def _line(**changes: Any) -> bytes:
    line: dict[str, Any] = {
        "custom_id": "a",
        "method": "POST",
        "url": CHAT,
        "body": {"model": "m", "messages": []},
    }
    line |= changes
    return msgspec.json.encode({name: value for name, value in line.items() if value is not ...}) + b"\n"


def _body(**changes: Any) -> bytes:
    body: dict[str, Any] = {"model": "m", "messages": []} | changes
    return _line(body={name: value for name, value in body.items() if value is not ...})


GOOD = _line(custom_id="good")

FINDINGS = {
    "not JSON": (b"hello\n", "invalid_json_line", None),
    "half a line": (b'{"custom_id":"a","method":"POST"\n', "invalid_json_line", None),
    "two values in a line": (GOOD.strip() + b" {}\n", "invalid_json_line", None),
    "an array": (b"[1]\n", "invalid_json_line", None),
    "a text": (b'"x"\n', "invalid_json_line", None),
    "NUL": (b"\0\n", "invalid_json_line", None),
    "not UTF-8": (_line(custom_id="x").replace(b"x", b"\xff"), "invalid_json_line", None),
    "not UTF-8 in the body": (_body(x="y").replace(b'"y"', b'"\xff"'), "invalid_json_line", None),
    "too deep": (
        _body(x=1).replace(b'"x":1', b'"x":' + b"[" * 100_000 + b"]" * 100_000),
        "invalid_json_line",
        None,
    ),
    "no custom_id": (_line(custom_id=...), "missing_required_parameter", "custom_id"),
    "custom_id null": (_line(custom_id=None), "invalid_custom_id", "custom_id"),
    "custom_id a number": (_line(custom_id=7), "invalid_custom_id", "custom_id"),
    "custom_id empty": (_line(custom_id=""), "invalid_custom_id", "custom_id"),
    "custom_id long": (_line(custom_id="x" * 513), "invalid_custom_id", "custom_id"),
    "custom_id half a character": (_line().replace(b'"a"', b'"\\ud800"'), "invalid_json_line", None),
    "custom_id twice": (_line(custom_id="good"), "duplicate_custom_id", "custom_id"),
    "no method": (_line(method=...), "missing_required_parameter", "method"),
    "another method": (_line(method="GET"), "invalid_method", "method"),
    "method in small letters": (_line(method="post"), "invalid_method", "method"),
    "no url": (_line(url=...), "missing_required_parameter", "url"),
    "another url": (_line(url="/v1/embeddings"), "url_mismatch", "url"),
    "url with a host": (_line(url="https://x" + CHAT), "url_mismatch", "url"),
    "no body": (_line(body=...), "missing_required_parameter", "body"),
    "body null": (_line(body=None), "invalid_request", "body"),
    "body a list": (_line(body=[1]), "invalid_request", "body"),
    "body a text": (_line(body="x"), "invalid_request", "body"),
    "stream": (_body(stream=True), "invalid_request", "body.stream"),
    "no model": (_body(model=...), "missing_required_parameter", "body.model"),
    "model null": (_body(model=None), "missing_required_parameter", "body.model"),
    "model a number": (_body(model=3), "invalid_request", "body.model"),
    "model empty": (_body(model=""), "invalid_request", "body.model"),
}


@pytest.mark.parametrize("name", FINDINGS)
async def test_a_bad_line_is_told_with_code_line_and_place(name: str) -> None:
    line, code, param = FINDINGS[name]
    reading = await _read(GOOD + line + _line(custom_id="after"))
    assert [(error.code, error.line, error.param) for error in reading.errors] == [(code, 2, param)]
    assert reading.errors[0].message


FINE = {
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "CRLF": GOOD.replace(b"\n", b"\r\n") + _line(custom_id="b").replace(b"\n", b"\r\n"),
    "blank last lines": GOOD + b"\n  \n\r\n",
    "no newline at the end": GOOD.strip(),
    "any order of keys": b'{"body":{"model":"m"},"url":"%b","custom_id":"a","method":"POST"}\n'
    % CHAT.encode(),
    "unknown fields": _line(priority=3, body={"model": "m", "zzz": [1]}),
    "stream false": _body(stream=False),
    "unicode": _line(custom_id="ключ-🦌"),
    "huge numbers": _body(x=1).replace(b'"x":1', b'"x":1e400'),
    "a malformed reference": _body(messages=[{"content": [{"image_url": {"url": "s3://"}}]}]),
}


@pytest.mark.parametrize("name", FINE)
async def test_what_is_fine(name: str) -> None:
    reading = await _read(FINE[name])
    assert reading.errors == []
    assert sum(cut.line_count for cut in reading.cuts(64)) >= 1


async def test_several_faults_of_a_line_are_told_at_once() -> None:
    reading = await _read(_line(custom_id=..., method="PUT", url="/x", body={"stream": True}))
    assert {error.code for error in reading.errors} == {
        "missing_required_parameter",
        "invalid_method",
        "url_mismatch",
        "invalid_request",
    }


async def test_at_most_a_hundred_findings() -> None:
    reading = await _read(b"x\n" * 500)
    assert len(reading.errors) == 100
    assert [error.line for error in reading.errors] == list(range(1, 101))


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n \n", b"\xef\xbb\xbf"])
async def test_an_empty_file(data: bytes) -> None:
    reading = await _read(data)
    assert [(error.code, error.line) for error in reading.errors] == [("empty_file", None)]


async def test_too_many_requests() -> None:
    limits = Limits(max_lines=10)
    assert (await _read(request_file(10), limits)).errors == []
    (error,) = (await _read(request_file(11), limits)).errors
    assert (error.code, error.line) == ("too_many_tasks", None)


@pytest.mark.parametrize("chunk", [7, 100, 4096])
async def test_a_line_that_is_too_long_is_told_once_and_the_next_lines_are_read(chunk: int) -> None:
    limits = Limits(max_line_bytes=1000)
    data = GOOD + _line(custom_id="x" * 3000) + b"bad\n" + _line(custom_id="after")
    reading = await _read(data, limits, chunk=chunk)
    assert [(error.code, error.line) for error in reading.errors] == [
        ("line_too_long", 2),
        ("invalid_json_line", 3),
    ]


async def test_embedding_inputs_are_counted_over_the_file() -> None:
    texts = (
        _embedding("a", ["x"] * 30)
        + _embedding("b", "one")
        + _embedding("c", [1, 2, 3])
        + _embedding("d", [[1], [2]])
    )
    assert (await _read(texts, Limits(max_embedding_inputs=34), endpoint="/v1/embeddings")).errors == []
    (error,) = (await _read(texts, Limits(max_embedding_inputs=33), endpoint="/v1/embeddings")).errors
    assert error.code == "too_many_embedding_inputs"


async def test_a_model_that_is_not_the_jobs() -> None:
    job = Job(id=DEFAULT_JOB, model="m")
    reading = await _read(GOOD + _body(model="other") + _line(custom_id="c", body={}), job=job)
    (error,) = reading.errors
    assert (error.code, error.line, error.param) == ("model_mismatch", 2, "body.model")
    assert reading.model == "m"


@given(st.lists(st.binary(max_size=60), max_size=30), st.integers(1, 50))
async def test_cuts_hold_every_line_once_whatever_the_chunks(texts: list[bytes], chunk: int) -> None:
    data = b"\n".join(
        _line(custom_id=f"{number}", more=text.hex()).strip() if text else b""
        for number, text in enumerate(texts)
    )
    reading = await _read(data, chunk=chunk)
    lines = data.split(b"\n")
    found = []
    for cut in reading.cuts(64):
        part = data[cut.byte_start : cut.byte_start + cut.byte_count].split(b"\n")
        assert part == lines[cut.first_line - 1 : cut.first_line - 1 + len(part)]
        held = [line for line in part if line]
        assert len(held) == cut.line_count > 0
        found += held
    assert found == [line for line in lines if line]


@pytest.mark.parametrize(
    ("lines", "workers", "shards"),
    [(1_000, 1, 16), (1_000, 8, 32), (1_000, 99, 63), (10, 99, 1), (9_000, 1, 18)],
)
async def test_a_batch_is_cut_for_the_workers_that_live(
    tmp_path: Path, lines: int, workers: int, shards: int
) -> None:
    async with open_world(tmp_path) as world:
        for number in range(workers):
            await world.store.workers.see(WorkerId(f"w{number}"), host="h", pid=number, now=world.now())
        batch_id = await world.add_batch(request_file(lines))
        await world.take_in(WorkerId("w0"))
        assert len(await world.store.shards.of_batch(batch_id)) == shards


async def test_a_batch_whose_file_is_bad_fails_with_its_findings(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.working():
        batch = await world.until_ended(await world.add_batch(request_line(1) + b"x\n" + request_line(1)))
    assert batch.status is BatchStatus.FAILED
    assert batch.failed_at is not None
    assert [(error.code, error.line) for error in batch.errors] == [
        ("invalid_json_line", 2),
        ("duplicate_custom_id", 3),
    ]
    assert (batch.counts, world.engine.request_count) == (Counts(), 0)


async def test_a_cancelled_batch_is_not_started_by_an_intake_that_runs(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        batch_id = await world.add_batch(request_file(3))
        duty = await world.store.duties.claim(new_worker_id(), now=world.now(), until=world.now() + 60)
        assert duty is not None
        await world.store.batches.cancel(DEFAULT_PROJECT, batch_id, now=5)
        with pytest.raises(Exception, match="intake"):
            await world.intake()(duty)
        async with world.working():
            batch = await world.until_ended(batch_id)
    assert (batch.status, world.engine.request_count) == (BatchStatus.CANCELLED, 0)


def _embedding(custom_id: str, given: object) -> bytes:
    return _line(custom_id=custom_id, url="/v1/embeddings", body={"model": "m", "input": given})


async def _read(
    data: bytes,
    limits: Limits | None = None,
    *,
    chunk: int = 65_536,
    endpoint: str = CHAT,
    job: Job | None = None,
) -> Reading:
    batch = Batch(
        id=BatchId("batch_1"),
        project_id=DEFAULT_PROJECT,
        status=BatchStatus.VALIDATING,
        endpoint=endpoint,
        input_file_id=FileId("file-1"),
        completion_window="unlimited",
        job=job or Job(id=DEFAULT_JOB),
        created_at=1,
    )
    reading = Reading(batch, limits or Limits())
    await reading.read(_chunks(data, chunk))
    return reading


async def _chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
