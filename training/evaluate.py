"""Ask an OpenVINO model about pictures it has never seen and print how many answers were exactly right, as JSON.

    python evaluate.py MODEL [--pictures 200] [--first-seed 0] [--forms json category …] [--precision f32] [--wrong 5]

Needs pronk with its bundled engine, no training environment. Seeds must stay below `pictures.FIRST_SEED`. Next to the
forms of `pronk.demo.shapes` it knows `json_fixed` and `category_fixed` (one wording for all) and `unseen`
(wordings that training never used).
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai
from PIL import Image
from unseen import ask_unseen

from pronk.demo.shapes import CATEGORY_QUESTION, JSON_QUESTION, Question, Scene, ask, draw, score

TRAINING_SEEDS = 1_000_000
IN_FLIGHT = 64
ALL_FORMS = (
    "json", "category", "json_fixed", "category_fixed", "category_rest", "field", "words", "check",
    "pair_json", "pair_words", "pair_field", "pair_same", "refusal", "blind", "unseen",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One request with its pictures and what they show."""

    question: Question
    pictures: tuple[Image.Image, ...]
    scenes: tuple[Scene, ...]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--forms", nargs="+", choices=ALL_FORMS, default=ALL_FORMS)
    parser.add_argument(
        "--precision", choices=("f32", "bf16"), help="default: what the engine takes by itself"
    )
    parser.add_argument(
        "--wrong", type=int, default=0, help="print so many wrong answers of each form to stderr"
    )
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.pictures)
    if seeds.stop > TRAINING_SEEDS:
        parser.error("these seeds were used in training")
    pipeline = open_pipeline(options.model, options.precision)
    figures = {form: measure(pipeline, form, seeds, options.wrong) for form in options.forms}
    print(json.dumps(figures, indent=2))


def measure(pipeline: genai.ContinuousBatchingPipeline, form: str, seeds: range, show: int) -> dict[str, Any]:
    """How many answers of this form are right over these seeds."""
    cases = [case_of(form, seed) for seed in seeds]
    right = 0
    for case, answer in zip(cases, answers(pipeline, cases), strict=True):
        if score(answer, case.scenes, case.question):
            right += 1
        elif show > 0:
            show -= 1
            truth = case.question.answer(*case.scenes)
            print(f"{form}: {case.question.text!r}\n   said {answer!r}\n  truth {truth!r}", file=sys.stderr)
    return {"asked": len(cases), "right": right, "share": round(right / len(cases), 4)}


def case_of(form: str, seed: int) -> Case:
    """The case that a seed names."""
    rng = Random(seed)
    count = {"pair": 2, "blind": 0}.get(form.split("_", maxsplit=1)[0], 1)
    drawn = [draw(rng) for _ in range(count)]
    pictures, scenes = tuple(picture for picture, _ in drawn), tuple(scene for _, scene in drawn)
    if form == "unseen":
        question = ask_unseen(rng, scenes[0])
    elif form.endswith("_fixed"):
        question = {"json_fixed": JSON_QUESTION, "category_fixed": CATEGORY_QUESTION}[form]
    else:
        question = ask(rng, form, *scenes)
    return Case(question, pictures, scenes)


def open_pipeline(model: Path, precision: str | None) -> genai.ContinuousBatchingPipeline:
    """The pipeline with a small, exact cache."""
    scheduler = genai.SchedulerConfig()
    scheduler.num_kv_blocks = 2048
    scheduler.max_num_batched_tokens = 4096
    scheduler.max_num_seqs = IN_FLIGHT
    properties = {"INFERENCE_PRECISION_HINT": precision} if precision else {}
    return genai.ContinuousBatchingPipeline(str(model), scheduler, "CPU", properties)


def answers(pipeline: genai.ContinuousBatchingPipeline, cases: Iterable[Case]) -> Iterator[str]:
    """Greedy answers in the order of the cases."""
    tokenizer = pipeline.get_tokenizer()
    config = genai.GenerationConfig()
    config.apply_chat_template = False
    config.max_new_tokens = 64
    config.do_sample = False
    config.eos_token_id = pipeline.get_config().eos_token_id
    waiting = list(enumerate(cases))
    for start in range(0, len(waiting), IN_FLIGHT):
        handles = [
            pipeline.add_request(
                k, prompt_of(tokenizer, case.question), [tensor(p) for p in case.pictures], config
            )
            for k, case in waiting[start : start + IN_FLIGHT]
        ]
        while pipeline.has_non_finished_requests():
            pipeline.step()
        for handle in handles:
            yield tokenizer.decode(handle.read_all()[0].generated_ids)


def prompt_of(tokenizer: genai.Tokenizer, question: Question) -> str:
    """The templated prompt; the engine adds a newline behind each tag by itself."""
    tags = "".join(f"<ov_genai_image_{k}>" for k in range(question.pictures))
    content = question.text + "\n" * bool(tags) + tags if question.text_first else tags + question.text
    system = [{"role": "system", "content": question.system}] if question.system else []
    return tokenizer.apply_chat_template([*system, {"role": "user", "content": content}], True)


def tensor(picture: Image.Image) -> ov.Tensor:
    """A picture as the pipeline wants it: uint8 [1, H, W, 3]."""
    return ov.Tensor(np.asarray(picture.convert("RGB"))[None].copy())


if __name__ == "__main__":
    main()
