"""Pictures of five megabytes: a worker stays within the memory that the operations page promises, however many there are."""

from __future__ import annotations

import re
import resource
from pathlib import Path

import pytest
import structlog
from tests.chaos.field import Field, mother, open_field
from tests.chaos.storage import s3_storage
from tests.fakes.aws.server import Aws
from tests.fakes.engine import Behaviour
from tests.media.pictures import padded_png

from pronk.domain.batch import Counts

pytestmark = [pytest.mark.anyio, pytest.mark.chaos, pytest.mark.timeout(900)]
log = structlog.get_logger()

PICTURE_BYTES = 5_000_000
MOST = 400
"""Megabytes of a worker, as docs/operations.md has it; the system refuses it more than these of its own."""


def _line(number: int) -> bytes:
    content = f'[{{"type":"image_url","image_url":{{"url":"s3://pictures/{number}.png"}}}}]'
    body = f'{{"model":"slow","messages":[{{"role":"user","content":{content}}}]}}'
    return (
        f'{{"custom_id":"r-{number}","method":"POST","url":"/v1/chat/completions","body":{body}}}\n'.encode()
    )


def _peak(pid: int) -> float:
    """Return the most megabytes that a process has had in memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


async def _peak_of_a_worker(field: Field, aws: Aws, lines: int) -> float:
    pictures = aws.new_bucket("pictures")
    for number in range(1, lines + 1):
        pictures.put(f"{number}.png", padded_png(PICTURE_BYTES, number), "image/png")
    field.engine.models["slow"] = Behaviour(delay=0.3)
    batch_id = await field.add_data(b"".join(map(_line, range(1, lines + 1))))
    pid = field.mother.bear(field.life())
    resource.prlimit(pid, resource.RLIMIT_DATA, (MOST << 20, MOST << 20))
    batch = await field.until(batch_id, lambda batch: batch.is_terminal)
    peak = _peak(pid)
    await field.stop(pid)
    assert batch.counts == Counts(lines, lines, 0)
    assert field.engine.request_count == lines
    log.info("peak", megabytes=round(peak), lines=lines)
    return peak


async def _peak_with(folder: Path, patch: pytest.MonkeyPatch, lines: int) -> float:
    aws = Aws()
    async with s3_storage(patch, aws):
        patch.setenv("AWS_ENDPOINT_URL", aws.url)
        with mother() as bearer:
            url = f"sqlite://{folder}/pronk.db"
            async with open_field(folder, url, bearer, keeps=False, max_in_flight=64) as field:
                return await _peak_of_a_worker(field, aws, lines)


async def test_a_worker_stays_small_with_large_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await _peak_with(tmp_path, monkeypatch, 300) < MOST
