"""The one place that calls openvino-genai to generate, with what its calls need in order to stay alive.

Handles are kept until they are read out (a collected handle cancels its request), nothing is read before
`can_read` (that would wait for ever), ids are never used twice, and lists of tokens are never passed in.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from pronk.engines.bundled.embedding import Embedder, load_embedder
from pronk.engines.bundled.protocol import Delta, Open, Picture, Sampling, Submit
from pronk.engines.bundled.tokens import load_tokenizer

ENDED = genai.GenerationStatus
REASONS: Mapping[Any, str] = {
    genai.GenerationFinishReason.STOP: "stop",
    genai.GenerationFinishReason.LENGTH: "length",
}
WARM_UP_SIDE = 64
UNTOLD_SEED = 1


@dataclass
class Live:
    """A request inside the pipeline. Tokens not yet told stand in `tokens`."""

    submit: Submit
    handle: Any
    tokens: list[int]
    logprobs: list[float]
    cancelled: bool = False
    reason: str | None = None


class Pipeline:
    """A continuous batching pipeline; `step` moves all live requests on and says what is new."""

    def __init__(self, inner: Any, embedder: Embedder | None, *, pictures: bool) -> None:
        self._inner = inner
        self._embedder = embedder
        self._pictures = pictures
        self._ids = itertools.count()
        self._alone = False
        self.live: dict[int, Live] = {}

    @property
    def is_busy(self) -> bool:
        return bool(self.live)

    @property
    def is_isolating(self) -> bool:
        """A request that is under suspicion runs alone."""
        return self._alone and bool(self.live)

    @property
    def cache_usage(self) -> float:
        return float(self._inner.get_metrics().cache_usage) / 100 if self.live else 0.0

    def prepare(self, submits: Sequence[Submit]) -> list[list[Any]]:
        """What `start` needs for each; where the model allows it, all pictures are encoded together here."""
        if self._embedder is not None:
            return [[ov.Tensor(rows)] for rows in self._embedder.embed(submits)]
        if not self._pictures:
            return [[submit.prompt] for submit in submits]
        return [[submit.prompt, [_tensor(picture) for picture in submit.pictures]] for submit in submits]

    def start(self, submit: Submit, prepared: list[Any], *, alone: bool) -> None:
        """Let a request take part in the next step."""
        config = self.config_for(submit.sampling, seed=submit.seed, max_tokens=submit.max_tokens)
        handle = self._inner.add_request(next(self._ids), *prepared, config)
        self._alone = alone
        self.live[submit.id] = Live(submit, handle, [], [])

    def cancel(self, request_id: int) -> None:
        """The next step frees it and says so."""
        live = self.live.get(request_id)
        if live is not None and not live.cancelled:
            live.cancelled = True
            live.handle.cancel()

    def step(self) -> list[Delta]:
        if self._inner.has_non_finished_requests():
            self._inner.step()
        deltas = [delta for live in list(self.live.values()) if (delta := advance(live)) is not None]
        for delta in deltas:
            if delta.finish is not None:
                del self.live[delta.id]
        return deltas

    def clear(self) -> list[Submit]:
        """Cancel everything and step once, which leaves a pipeline that failed usable; returns who was in it."""
        submits = [live.submit for live in self.live.values()]
        for live in self.live.values():
            live.handle.cancel()
        if self._inner.has_non_finished_requests():
            self._inner.step()
        self.live.clear()
        self._alone = False
        return submits

    def compiles(self, schema: str) -> bool:
        """Whether the grammar compiler takes a schema; only `generate` finds out without harm to a later request."""
        config = self.config_for(Sampling(temperature=0.0, schema=schema), seed=UNTOLD_SEED, max_tokens=1)
        try:
            if self._pictures:
                self._inner.generate(["a"], images=[[]], generation_config=[config])
            else:
                self._inner.generate(["a"], [config])
        except RuntimeError:
            return False
        return True

    def config_for(self, sampling: Sampling, *, seed: int, max_tokens: int) -> Any:
        """The model's own ending tokens with the request's own sampling."""
        config = self._inner.get_config()
        config.apply_chat_template = False
        config.max_new_tokens = max_tokens
        config.min_new_tokens = min(sampling.min_tokens, max_tokens)
        config.ignore_eos = sampling.ignore_eos
        config.logprobs = int(sampling.logprobs)
        config.repetition_penalty = sampling.repetition_penalty
        config.presence_penalty = sampling.presence_penalty
        config.frequency_penalty = sampling.frequency_penalty
        _set_sampling(config, sampling, seed)
        if sampling.schema is not None:
            config.structured_output_config = genai.StructuredOutputConfig(json_schema=sampling.schema)
        return config


def _set_sampling(config: Any, sampling: Sampling, seed: int) -> None:
    config.do_sample = sampling.temperature > 0
    if config.do_sample:
        config.temperature = sampling.temperature
        config.top_p = sampling.top_p
        config.top_k = sampling.top_k
        config.min_p = sampling.min_p
        config.rng_seed = seed


def _tensor(picture: Picture) -> Any:
    pixels = np.frombuffer(picture.pixels, dtype=np.uint8)
    return ov.Tensor(pixels.reshape(1, picture.height, picture.width, 3))


def advance(live: Live) -> Delta | None:
    """Read what a request has to give; None when there is nothing to tell yet."""
    if live.cancelled:
        return Delta(live.submit.id, [], [], "cancelled")
    _drain(live)
    status = live.handle.get_status()
    if status != ENDED.RUNNING:
        return _told(live, "evicted" if live.reason is None else live.reason, _prompt_tokens(live.handle))
    return _told(live, None, 0) if live.submit.incremental and live.tokens else None


def _drain(live: Live) -> None:
    while live.handle.can_read():
        for output in live.handle.read().values():
            live.tokens += output.generated_ids
            live.logprobs += output.generated_log_probs if live.submit.sampling.logprobs else []
            live.reason = REASONS.get(output.finish_reason, live.reason)


def _told(live: Live, finish: str | None, prompt: int) -> Delta:
    delta = Delta(live.submit.id, live.tokens, live.logprobs, finish, prompt)
    live.tokens, live.logprobs = [], []
    return delta


def _prompt_tokens(handle: Any) -> int:
    return int(handle.get_perf_metrics().get_num_input_tokens())


def ready_pipeline(opening: Open) -> Pipeline:
    """Load the model and run one request of each kind, so that the first real one meets compiled code."""
    directory = Path(opening.model_dir)
    properties = {} if opening.precision == "auto" else {"INFERENCE_PRECISION_HINT": opening.precision}
    tokenizer = load_tokenizer(directory)
    embedder = load_embedder(directory, tokenizer, properties) if opening.pictures else None
    inner = genai.ContinuousBatchingPipeline(
        str(directory), tokenizer, _scheduler(opening), "CPU", **properties
    )
    pipeline = Pipeline(inner, embedder, pictures=opening.pictures)
    for submit in _warm_up(WARM_UP_SIDE if embedder is None else embedder.side, pictures=opening.pictures):
        [prepared] = pipeline.prepare([submit])
        pipeline.start(submit, prepared, alone=False)
        while pipeline.is_busy:
            pipeline.step()
    return pipeline


def _warm_up(side: int, *, pictures: bool) -> list[Submit]:
    blank = Picture(side, side, bytes(side * side * 3))
    prompts: list[tuple[str, tuple[Picture, ...]]] = [("a", ()), ("<ov_genai_image_0>a", (blank,))]
    return [
        Submit(index, prompt, seen, Sampling(temperature=0.0), UNTOLD_SEED, 2, incremental=False)
        for index, (prompt, seen) in enumerate(prompts[: 1 + pictures])
    ]


def _scheduler(opening: Open) -> Any:
    scheduler = genai.SchedulerConfig()
    scheduler.num_kv_blocks = opening.kv_blocks
    scheduler.max_num_seqs = opening.max_sequences
    scheduler.max_num_batched_tokens = opening.max_batched_tokens
    scheduler.enable_prefix_caching = opening.prefix_caching
    return scheduler
