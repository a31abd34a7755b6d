"""One sequence of tokens on its way: what was asked, what has come, and waking whoever waits for more."""

import anyio

from pronk.domain.errors import ApiError
from pronk.engines.bundled.protocol import Delta, Submit
from pronk.engines.bundled.refusals import unavailable

MAX_TRIES = 2


class Sequence:
    """Tokens of one answer as the generating process delivers them.

    `finish` is None while tokens may still come. After a restart the tokens begin anew; the seed is fixed, so they
    are expected to be the same ones, and `Tail` checks that.
    """

    def __init__(self, submit: Submit, blocks: int, prompt_tokens: int) -> None:
        self.submit = submit
        self.blocks = blocks
        self.prompt_tokens = prompt_tokens
        self.picture_bytes = sum(len(picture.pixels) for picture in submit.pictures)
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.finish: str | None = None
        self.failure: ApiError | None = None
        self.restarts = 0
        self.tries = 0
        self.abandoned = False
        self._changed = anyio.Event()

    @property
    def id(self) -> int:
        return self.submit.id

    @property
    def is_done(self) -> bool:
        return self.finish is not None or self.failure is not None

    def extend(self, delta: Delta) -> None:
        if delta.restarted:
            self.restart()
        self.tokens += delta.tokens
        self.logprobs += delta.logprobs
        self.finish = delta.finish
        self.prompt_tokens = delta.prompt_tokens or self.prompt_tokens
        self._wake()

    def restart(self) -> None:
        """All tokens so far are void."""
        self.tokens, self.logprobs = [], []
        self.restarts += 1

    def fail(self, error: ApiError) -> None:
        self.failure = error
        self._wake()

    async def beyond(self, count: int) -> None:
        """Return when there are more than `count` tokens, or no more will come; raises the failure, if any."""
        while not self.is_done and len(self.tokens) <= count:
            await self._changed.wait()
        if self.failure is not None:
            raise self.failure

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class Tail:
    """Takes the tokens of a sequence as they come, each once, also across a restart."""

    def __init__(self, sequence: Sequence) -> None:
        self.sequence = sequence
        self.taken: list[int] = []
        self._restarts = 0

    async def next(self) -> tuple[list[int], list[float]]:
        """The new tokens and their log probabilities; both empty only at the end."""
        sequence = self.sequence
        await sequence.beyond(len(self.taken))
        start = len(self.taken)
        if sequence.restarts != self._restarts and sequence.tokens[:start] != self.taken:
            raise unavailable("the engine restarted and would now answer differently; try again")
        self._restarts = sequence.restarts
        tokens = sequence.tokens[start:]
        self.taken += tokens
        return tokens, sequence.logprobs[start:]
