"""The served model: from a request that was read to the answers being generated, within the model's limits."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from anyio import CapacityLimiter, to_thread

from pronk.engines.bundled.admission import blocks_for
from pronk.engines.bundled.answer import Answer
from pronk.engines.bundled.chat import Chat, PicturePart
from pronk.engines.bundled.completions import Completion
from pronk.engines.bundled.engine import Engine
from pronk.engines.bundled.generation import SEED_SPAN, Generation
from pronk.engines.bundled.layout import Layout
from pronk.engines.bundled.pictures import PictureLimits, load_picture
from pronk.engines.bundled.prompt import Turn, control_pattern, flatten, neutralised, without_tags
from pronk.engines.bundled.protocol import BLOCK_TOKENS, Picture, Submit
from pronk.engines.bundled.refusals import bad
from pronk.engines.bundled.schemas import SchemaTrials
from pronk.engines.bundled.sequence import Sequence
from pronk.engines.bundled.tokens import Tokens

CONTEXT = "context_length_exceeded"


@dataclass(frozen=True, slots=True)
class Paths:
    """What a route calls the things that may be refused here."""

    prompt: str
    budget: str
    schema: str = ""


CHAT_PATHS = Paths("messages", "max_tokens", "response_format.json_schema.schema")
RESPONSE_PATHS = Paths("input", "max_output_tokens", "text.format.schema")
COMPLETION_PATHS = Paths("prompt", "max_tokens")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a model is put together from."""

    layout: Layout
    tokens: Tokens
    engine: Engine
    schemas: SchemaTrials
    limits: PictureLimits
    kv_blocks: int
    decoding: CapacityLimiter
    chance: random.Random


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt ready for the engine, with its tokens counted, pictures included."""

    text: str
    pictures: tuple[Picture, ...]
    tokens: int


class Model:
    """Turns requests into answers; everything it refuses is an `ApiError`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._control = control_pattern(parts.layout.special)
        self._tags = control_pattern(())

    @property
    def context(self) -> int:
        """Tokens of prompt and answer together."""
        return min(self._parts.layout.context, self._parts.kv_blocks * BLOCK_TOKENS)

    @asynccontextmanager
    async def chat(self, chat: Chat, paths: Paths) -> AsyncIterator[list[Answer]]:
        """The choices of a chat, being generated until the block ends."""
        await self._parts.schemas.check(chat.generation.sampling.schema, paths.schema)
        pictures = await self._load(chat.pictures)
        turns = flatten(chat.messages, self._control, pictures_first=self._parts.layout.pictures_first)
        self._check_size(sum(len(text) for _, text in turns), paths.prompt)
        prompt = self._counted(self._render(turns, paths), pictures)
        async with self._answers([prompt], chat.generation, paths) as answers:
            yield answers

    def _render(self, turns: tuple[Turn, ...], paths: Paths) -> str:
        try:
            return self._parts.tokens.render(turns)
        except RuntimeError as error:
            raise bad(paths.prompt, "the model's chat template does not take this order of roles") from error

    @asynccontextmanager
    async def complete(self, completion: Completion) -> AsyncIterator[list[Answer]]:
        """The choices of all prompts, prompt by prompt, being generated until the block ends."""
        for text in completion.prompts:
            self._check_size(len(text), "prompt")
        prompts = [self._counted(neutralised(text, self._tags), ()) for text in completion.prompts]
        async with self._answers(prompts, completion.generation, COMPLETION_PATHS) as answers:
            yield answers

    async def _load(self, parts: list[PicturePart]) -> tuple[Picture, ...]:
        """The pictures of a request, one after the other: what runs at once is other requests."""
        fit = self._parts.layout.fit
        if not parts:
            return ()
        if fit is None:
            raise bad(parts[0].path, f"{parts[0].path}: this model takes no pictures", "image_unsupported")
        pictures: list[Picture] = []
        left = self.context
        for part in parts:
            load = partial(load_picture, part, self._parts.limits, fit)
            picture = await to_thread.run_sync(load, limiter=self._parts.decoding)
            left -= fit.count(picture.width, picture.height)
            if left <= 0:
                raise bad(
                    part.path, f"{part.path} does not fit: the model takes {self.context} tokens", CONTEXT
                )
            pictures.append(picture)
        return tuple(pictures)

    def _check_size(self, characters: int, path: str) -> None:
        """Refuse at once what is longer than the longest tokens could make it, without counting it."""
        most = self.context * self._parts.tokens.longest_bytes
        if characters > most:
            raise bad(
                path, f"{path} has {characters} characters; the model takes {self.context} tokens", CONTEXT
            )

    def _counted(self, text: str, pictures: tuple[Picture, ...]) -> Prompt:
        fit = self._parts.layout.fit
        eyes = sum(fit.count(picture.width, picture.height) for picture in pictures) if fit is not None else 0
        return Prompt(text, pictures, self._parts.tokens.count(without_tags(text)) + eyes)

    @asynccontextmanager
    async def _answers(
        self, prompts: list[Prompt], generation: Generation, paths: Paths
    ) -> AsyncIterator[list[Answer]]:
        seed = self._parts.chance.randrange(SEED_SPAN) if generation.seed is None else generation.seed
        answers: list[Answer] = []
        try:
            for prompt in prompts:
                for choice in range(generation.choices):
                    sequence = self._sequence(prompt, generation, paths, (seed + choice) % SEED_SPAN)
                    answers.append(Answer(sequence, self._parts.tokens.decode, generation.stops))
                    self._parts.engine.submit(sequence)
            yield answers
        finally:
            for answer in answers:
                self._parts.engine.release(answer.sequence)

    def _sequence(self, prompt: Prompt, generation: Generation, paths: Paths, seed: int) -> Sequence:
        max_tokens = self._budget(prompt, generation, paths)
        submit = Submit(
            id=self._parts.engine.next_id(),
            prompt=prompt.text,
            pictures=prompt.pictures,
            sampling=generation.sampling,
            seed=seed,
            max_tokens=max_tokens,
            incremental=generation.stream or bool(generation.stops),
        )
        return Sequence(submit, blocks_for(prompt.tokens + max_tokens), prompt.tokens)

    def _budget(self, prompt: Prompt, generation: Generation, paths: Paths) -> int:
        """How many tokens may be generated; 400 when the context cannot hold what is asked."""
        left = self.context - prompt.tokens
        if left < 1:
            message = (
                f"{paths.prompt} has {prompt.tokens} tokens; the model takes {self.context} with the answer"
            )
            raise bad(paths.prompt, message, CONTEXT)
        wanted = left if generation.max_tokens is None else generation.max_tokens
        if wanted > left:
            message = (
                f"{paths.prompt} has {prompt.tokens} tokens and {paths.budget} asks for {wanted} more;"
                f" the model takes {self.context} together"
            )
            raise bad(paths.budget, message, CONTEXT)
        return wanted
