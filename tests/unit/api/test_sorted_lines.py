"""A page of a result file is found by halving it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pronk.api.sorted_lines import Line, lines_after, merged
from pronk.blobs import DiskBlobs

pytestmark = pytest.mark.anyio


def line(number: int, size: int) -> bytes:
    return b'{"id":"batch_req_0a_%d","custom_id":"%b"}' % (number, b"x" * size)


class Counting(DiskBlobs):
    """Storage that counts ranged reads."""

    reads = 0

    async def get_range(self, name: str, start: int, length: int) -> bytes:
        self.reads += 1
        return await super().get_range(name, start, length)


@settings(deadline=None)
@given(
    gaps=st.lists(st.tuples(st.integers(1, 5), st.sampled_from([0, 50, 1000, 70_000, 200_000])), max_size=40),
    after=st.integers(0, 200),
    ends=st.booleans(),
)
async def test_after(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[tuple[int, int]], after: int, *, ends: bool
) -> None:
    number, expected, written = 0, [], []
    for gap, size in gaps:
        number += gap
        written.append(line(number, size))
        if number > after:
            expected.append(number)
    data = b"\n".join(written) + (b"\n" if ends and written else b"")
    blobs = DiskBlobs(tmp_path_factory.mktemp("blobs"))
    await blobs.put("results", data)
    assert [found.number async for found in lines_after(blobs, "results", len(data), after)] == expected


async def test_a_large_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    blobs = Counting(tmp_path)
    data = b"".join(line(number, 200) + b"\n" for number in range(1, 50_001))
    await blobs.put("results", data)
    found = lines_after(blobs, "results", len(data), 40_000)
    assert (await anext(found)) == Line(40_001, line(40_001, 200))
    await found.aclose()
    assert blobs.reads < 40


async def test_merged(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    for name, numbers in (("a", [1, 4, 5, 9]), ("b", [2, 3, 8])):
        await blobs.put(name, b"".join(line(number, 5) + b"\n" for number in numbers))
    sizes = {name: len(await blobs.get(name)) for name in "ab"}
    sources = [lines_after(blobs, name, size, 1) for name, size in sizes.items()]
    assert [found.number async for found in merged(sources)] == [2, 3, 4, 5, 8, 9]
    assert [found async for found in merged([])] == []
