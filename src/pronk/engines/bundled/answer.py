"""One choice of an answer as it comes: text, tokens, log probabilities, and how it ended."""

from collections.abc import Sequence as Many
from dataclasses import dataclass

from pronk.engines.bundled.sequence import Sequence, Tail
from pronk.engines.bundled.text import Decode, Detokenizer, StopScanner


@dataclass(frozen=True, slots=True)
class Piece:
    """What is new. `finish` is None until the last piece, then `stop` or `length`."""

    text: str
    tokens: list[int]
    logprobs: list[float]
    finish: str | None


class Answer:
    """Reads one sequence; `next` is awaited until a piece has a `finish`."""

    def __init__(self, sequence: Sequence, decode: Decode, stops: Many[str]) -> None:
        self.sequence = sequence
        self._tail = Tail(sequence)
        self._detokenizer = Detokenizer(decode)
        self._scanner = StopScanner(stops)

    @property
    def prompt_tokens(self) -> int:
        return self.sequence.prompt_tokens

    @property
    def completion_tokens(self) -> int:
        return len(self._tail.taken)

    async def next(self) -> Piece:
        """Raises what ended the sequence, if it was an error."""
        tokens, logprobs = await self._tail.next()
        finish = self.sequence.finish
        text = self._detokenizer.push(tokens, final=finish is not None)
        text, stopped = self._scanner.push(text, final=finish is not None)
        return Piece(text, tokens, logprobs, "stop" if stopped else finish)

    async def whole(self) -> Piece:
        """All pieces as one."""
        pieces = [await self.next()]
        while pieces[-1].finish is None:
            pieces.append(await self.next())
        return Piece(
            text="".join(piece.text for piece in pieces),
            tokens=[token for piece in pieces for token in piece.tokens],
            logprobs=[value for piece in pieces for value in piece.logprobs],
            finish=pieces[-1].finish,
        )
