"""The engine's two ways in give the same tokens; requests end as they should."""

import pytest

from pronk.engines.bundled import shipped_model
from pronk.engines.bundled.pipeline import Pipeline, ready_pipeline
from pronk.engines.bundled.protocol import Delta, Open, Picture, Sampling, Submit

FOLDER = shipped_model()
COLORS = [b"\xff\0\0", b"\0\xff\0", b"\0\0\xff"]


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    opening = Open(
        model_dir=str(FOLDER),
        pictures=True,
        kv_blocks=256,
        max_sequences=16,
        max_batched_tokens=1024,
        prefix_caching=False,
        precision="f32",
    )
    return ready_pipeline(opening)


def submit(number: int, pictures: int = 0, **members: object) -> Submit:
    tags = "".join(f"<ov_genai_image_{index}>" for index in range(pictures))
    seen = tuple(Picture(96, 96, COLORS[(number + index) % 3] * 96 * 96) for index in range(pictures))
    prompt = f"<|im_start|>user\n{tags}What color?<|im_end|>\n<|im_start|>assistant\n"
    sampling = Sampling(**{"temperature": 0.0, "ignore_eos": True, **members})  # type: ignore[arg-type]
    return Submit(number, prompt, seen, sampling, 5, 6, incremental=False)


def run(pipeline: Pipeline, submits: list[Submit]) -> list[Delta]:
    for one, prepared in zip(submits, pipeline.prepare(submits), strict=True):
        pipeline.start(one, prepared, alone=False)
    ended: dict[int, Delta] = {}
    while pipeline.is_busy:
        ended |= {delta.id: delta for delta in pipeline.step()}
    return [ended[one.id] for one in submits]


def test_embeddings_are_what_the_engine_computes_itself(pipeline: Pipeline) -> None:
    submits = [submit(number, pictures=number % 4) for number in range(12)]
    plain = Pipeline(pipeline._inner, None, pictures=True)
    plain._ids = pipeline._ids
    assert pipeline._embedder is not None
    assert run(pipeline, submits) == run(plain, submits)


def test_a_picture_takes_its_rows_and_a_newline(pipeline: Pipeline) -> None:
    counts = [delta.prompt_tokens for delta in run(pipeline, [submit(number, number) for number in range(3)])]
    assert (counts[1] - counts[0], counts[2] - counts[1]) == (37, 37)


def test_a_seed_decides_whatever_runs_beside(pipeline: Pipeline) -> None:
    [alone] = run(pipeline, [submit(1, temperature=1.5)])
    among = run(pipeline, [submit(number, temperature=1.5) for number in (1, 2, 3)])
    assert among[0].tokens == alone.tokens
    assert len(alone.tokens) == 6


def test_log_probabilities_only_when_asked_for(pipeline: Pipeline) -> None:
    without, with_them = run(pipeline, [submit(1), submit(2, logprobs=True)])
    assert (without.logprobs, len(with_them.logprobs)) == ([], 6)


def test_a_cancelled_request_is_gone_after_a_step(pipeline: Pipeline) -> None:
    one = submit(1)
    [prepared] = pipeline.prepare([one])
    pipeline.start(one, prepared, alone=False)
    pipeline.step()
    pipeline.cancel(1)
    [delta] = pipeline.step()
    assert (delta.finish, pipeline.is_busy, pipeline.cache_usage) == ("cancelled", False, 0.0)


def test_schemas_are_tried_without_harm(pipeline: Pipeline) -> None:
    assert pipeline.compiles('{"type":"object","properties":{"a":{"type":"integer"}}}')
    assert not pipeline.compiles('{"type":"nonsense"}')
    assert not pipeline.compiles('{"enum":[]}')
    assert run(pipeline, [submit(1)])[0].finish == "length"
