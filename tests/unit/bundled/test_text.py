"""Text comes out in whole characters, and ends where a stop string begins, however tokens are cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pronk.engines.bundled.text import Detokenizer, StopScanner


def decode(tokens: list[int]) -> str:
    return bytes(tokens).decode("utf-8", "replace")


def pushed(chunks: list[bytes]) -> list[str]:
    detokenizer = Detokenizer(decode)
    texts = [detokenizer.push(list(chunk), final=False) for chunk in chunks]
    return [*texts, detokenizer.push([], final=True)]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


def test_a_character_waits_for_its_last_token() -> None:
    assert pushed([b"a\xf0", b"\x9f", b"\x98\x80b"]) == ["a", "", "😀b", ""]


def test_what_never_becomes_a_character_is_not_held_for_ever() -> None:
    texts = pushed([b"\xff"] * 12)
    assert "".join(texts) == "\N{REPLACEMENT CHARACTER}" * 12
    assert any(texts[:10])


@given(st.text(max_size=40), st.lists(st.integers(0, 200), max_size=8))
def test_pieces_make_the_whole(text: str, places: list[int]) -> None:
    texts = pushed(cut(text.encode("utf-8", "replace"), places))
    assert "".join(texts) == text.encode("utf-8", "replace").decode("utf-8")
    assert all(
        "\N{REPLACEMENT CHARACTER}" not in piece or "\N{REPLACEMENT CHARACTER}" in text for piece in texts
    )


def scanned(stops: list[str], chunks: list[str]) -> tuple[str, bool]:
    scanner = StopScanner(stops)
    out = ""
    for index, chunk in enumerate(chunks):
        text, stopped = scanner.push(chunk, final=index == len(chunks) - 1)
        out += text
        if stopped:
            return out, True
    return out, False


def test_a_stop_across_pieces_is_found() -> None:
    assert scanned(["END"], ["abcE", "N", "Dxyz"]) == ("abc", True)


def test_a_false_beginning_is_given_back() -> None:
    assert scanned(["END"], ["abcE", "N", "x"]) == ("abcENx", False)


def test_a_beginning_at_the_end_is_given_back() -> None:
    assert scanned(["END"], ["abcEN"]) == ("abcEN", False)


def test_the_earliest_stop_wins() -> None:
    assert scanned(["c", "bc"], ["abcd"]) == ("a", True)


def test_nothing_of_a_stop_is_ever_shown() -> None:
    scanner = StopScanner(["\n\n"])
    assert scanner.push("a\n", final=False) == ("a", False)
    assert scanner.push("\nb", final=False) == ("", True)


@given(
    st.text(alphabet="ab", max_size=20),
    st.lists(st.text(alphabet="ab", min_size=1, max_size=3), min_size=1, max_size=3),
    st.lists(st.integers(0, 30), max_size=6),
)
def test_cutting_changes_nothing(text: str, stops: list[str], places: list[int]) -> None:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    chunks = [text[start:end] for start, end in pairwise(bounds)]
    found = [text.find(stop) for stop in stops if stop in text]
    out, stopped = scanned(stops, chunks)
    assert stopped == bool(found)
    assert text.startswith(out)
    assert not any(stop in out for stop in stops)
    if not found:
        assert out == text
