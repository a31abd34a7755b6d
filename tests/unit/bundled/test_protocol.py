"""Messages survive any cutting of the byte stream."""

from hypothesis import given
from hypothesis import strategies as st

from pronk.engines.bundled.protocol import (
    Cancel,
    Delta,
    Frames,
    Picture,
    Progress,
    Ready,
    Sampling,
    Submit,
    ToChild,
    ToParent,
    Verdict,
    frame,
    to_child_decoder,
    to_parent_decoder,
)

TO_CHILD: list[ToChild] = [
    Submit(
        7,
        "pr\0mpt é",
        (Picture(2, 1, b"abcdef"),),
        Sampling(temperature=0.5, schema="{}"),
        2**63 - 1,
        3,
        incremental=True,
    ),
    Cancel(7),
]
TO_PARENT: list[ToParent] = [
    Ready(),
    Progress([Delta(1, [2, 3], [-0.5, 0.0], "stop", 56), Delta(2, [], [], restarted=True)], 0.25),
    Verdict(3, ok=False),
]


@given(st.integers(1, 50))
def test_chopped_streams_come_back(size: int) -> None:
    data = b"".join(map(frame, TO_CHILD))
    frames = Frames()
    payloads = [
        payload for start in range(0, len(data), size) for payload in frames.feed(data[start : start + size])
    ]
    assert [to_child_decoder.decode(payload) for payload in payloads] == TO_CHILD


def test_all_at_once() -> None:
    payloads = Frames().feed(b"".join(map(frame, TO_PARENT)))
    assert [to_parent_decoder.decode(payload) for payload in payloads] == TO_PARENT
