"""What a Range header means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pronk.api.download import Span, read_range

WHOLE = Span(0, 100)


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-99", WHOLE),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=10-", Span(10, 90)),
        ("bytes=-10", Span(90, 10)),
        ("bytes=-1000", WHOLE),
        ("bytes= 5 - 6 ", Span(5, 2)),
        ("bytes=99-1000", Span(99, 1)),
        ("bytes=100-", None),
        ("bytes=-0", None),
        ("bytes=0-1,2-3", None),
        ("bytes=", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=6-5", WHOLE),
        ("bytes=a-b", WHOLE),
        ("pages=1-2", WHOLE),
    ],
)
def test_ranges(header: str, span: Span | None) -> None:
    assert read_range(header, 100) == span


def test_no_range_of_nothing() -> None:
    assert read_range("bytes=0-", 0) is None
    assert read_range("bytes=-5", 0) is None


@given(st.text(max_size=30).map("bytes={}".format) | st.text(), st.integers(0, 2**63))
def test_a_span_lies_in_the_file(header: str, size: int) -> None:
    span = read_range(header, size)
    assert span is None or 0 <= span.start <= span.start + span.length <= size
