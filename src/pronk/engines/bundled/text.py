"""From tokens to text as they come: whole characters only, and an end where a stop string begins."""

from collections.abc import Callable, Sequence

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
LONGEST_CHARACTER_TOKENS = 8

Decode = Callable[[list[int]], str]


class Detokenizer:
    """Decodes a growing list of tokens piece by piece.

    A character may be spread over several tokens, so a text that ends in U+FFFD is held back until it is whole, or
    until it is clear that it never will be. A few earlier tokens are decoded again each time, because some tokenizers
    treat the first token differently.
    """

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._start = 0
        self._given = 0

    def push(self, tokens: Sequence[int], *, final: bool) -> str:
        """The text that `tokens` complete; with `final` everything that was held back too."""
        self._tokens += tokens
        end = len(self._tokens) if final else self._end_of_whole()
        if end == self._given:
            return ""
        known = self._decode(self._tokens[self._start : self._given])
        text = self._decode(self._tokens[self._start : end])
        self._start, self._given = self._given, end
        return text[len(known) :]

    def _end_of_whole(self) -> int:
        """Where the last whole character ends; the end itself when too many tokens have made none."""
        count = len(self._tokens)
        first = max(self._given, count - LONGEST_CHARACTER_TOKENS)
        for end in range(count, first, -1):
            if not self._decode(self._tokens[self._start : end]).endswith(REPLACEMENT):
                return end
        return self._given if first == self._given else count


class StopScanner:
    """Passes text on up to the first stop string; keeps back what may turn out to be the beginning of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""

    def push(self, text: str, *, final: bool) -> tuple[str, bool]:
        """The text that may go out now, and whether a stop string was met (the text then ends before it)."""
        text = self._held + text
        found = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self._held = ""
            return text[: min(found)], True
        keep = 0 if final else max((overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False


def overlap(text: str, stop: str) -> int:
    """How many of the last characters of `text` are the first of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((count for count in range(longest, 0, -1) if text.endswith(stop[:count])), 0)
