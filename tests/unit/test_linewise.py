"""Lines of a stream, whatever pieces it comes in."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pronk.domain.ids import BatchId, result_id, result_line
from pronk.domain.lines import numbered_lines
from pronk.linewise import numbered, picked, result_numbers

pytestmark = pytest.mark.anyio


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@given(
    data=st.lists(st.sampled_from([b"a", b"\n", b"bc", b" ", b"\r\n", b"\xef\xbb\xbf"])).map(b"".join),
    size=st.integers(1, 7),
)
async def test_lines_are_numbered_as_intake_numbers_them(data: bytes, size: int) -> None:
    assert [line async for line in numbered(pieces(data, size))] == list(numbered_lines(data, 1))


async def test_a_result_names_its_line() -> None:
    assert result_line(result_id(BatchId("batch_0a1"), 17)) == 17
    assert [result_line(text) for text in ("", "17", "batch_req_0a1", "batch_req_0a1_x", "file_17")] == [
        None
    ] * 5


async def test_the_lines_of_failed_results_are_picked() -> None:
    results = b"".join(b'{"id":"batch_req_1_%d","custom_id":"x"}\n' % number for number in (2, 4, 9))
    numbers = await result_numbers(pieces(results, 5))
    assert list(numbers) == [2, 4, 9]
    lines = b"\n".join(b"line %d" % number for number in range(1, 10))
    found = [line async for line in picked(pieces(lines, 4), numbers)]
    assert found == [b"line 2\n", b"line 4\n", b"line 9\n"]
    assert [line async for line in picked(pieces(lines, 4), array("L"))] == []


async def test_a_file_that_holds_no_results_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2 is not a result"):
        await result_numbers(pieces(b'{"id":"batch_req_1_1"}\n{"custom_id":"a"}\n', 100))
