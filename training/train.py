"""Train the model that ships: first the eyes alone, then eyes and tongue together, then both once more.

    python train.py --out CHECKPOINT [--cache FOLDER] [--rounds 0 1 2 3]

Seeing trains tower and projector with throw-away heads that make every projected image token predict shape, color and
count. Speaking trains on answer tokens, the heads' loss still counting half; at first the eyes rest, because their
gradients cost a third of the time. Each round starts from what the last one left in the folder. Seeds are fixed.
"""

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lexicon
import torch
from lessons import IGNORED, Batch, Lessons, corpus
from network import Heads, Network
from pictures import Pool, load
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn

from pronk.demo.scene import COLORS, COUNTS, SHAPES

SEED = 20261122
BATCH = 64
AUXILIARY = 0.5
DECAY = 0.05


@dataclass(frozen=True)
class Round:
    """One run of seeing or speaking; the eyes rest for a share of a speaking round."""

    phase: str
    steps: int
    rate: float
    pool: Pool
    eyes_rest: float = 0.0


MIXED = Pool(30_000)
LONE = Pool(24_000, first_seed=1_500_000, lone=0.55)
ROUNDS = (
    Round("see", 1500, 2e-3, MIXED),
    Round("speak", 800, 1.6e-3, MIXED, eyes_rest=0.6),
    Round("see", 600, 1.5e-3, LONE),
    Round("speak", 220, 8e-4, MIXED),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--rounds", type=int, nargs="+", default=range(len(ROUNDS)))
    options = parser.parse_args()
    torch.set_num_threads(2)
    for number in options.rounds:
        train(number, options.out, options.cache)


def train(number: int, out: Path, cache: Path) -> None:
    """One round; leaves the tokenizer and `state.safetensors` (0: network, 1: heads) in `out`."""
    torch.manual_seed(SEED + number)
    if number == 0:
        lexicon.write(lexicon.learn(corpus(SEED, 20_000)), out)
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    network = Network(*(tokenizer.token_to_id(token) for token in (lexicon.IMAGE, lexicon.END, lexicon.PAD)))
    everything = nn.ModuleList([network, Heads((len(SHAPES), len(COLORS), len(COUNTS)))])
    if number > 0:
        everything.load_state_dict(load_file(str(out / "state.safetensors")))
    plan = ROUNDS[number]
    lessons = Lessons(*load(cache, plan.pool), tokenizer, SEED + number)
    {"see": see, "speak": speak}[plan.phase](everything, lessons, plan)
    state = {name: tensor.contiguous().clone() for name, tensor in everything.state_dict().items()}
    save_file(state, str(out / "state.safetensors"))


def see(everything: nn.ModuleList, lessons: Lessons, plan: Round) -> None:
    """Tower, projector and heads."""
    network, heads = everything
    eyes = nn.ModuleList([network.vision, network.linear_1, network.linear_2, heads])
    for step in rehearse(eyes, plan):
        seen, truth = lessons.looks(BATCH)
        step(heads(network.look(seen), truth))


def speak(everything: nn.ModuleList, lessons: Lessons, plan: Round) -> None:
    """The decoder on answers, later everything on answers and on the heads."""
    network, heads = everything
    for k, (step, batch) in enumerate(zip(rehearse(everything, plan), lessons.batches(BATCH), strict=False)):
        step(loss_of(network, heads, batch, eyes_rest=k < plan.eyes_rest * plan.steps))


def loss_of(network: Network, heads: Heads, batch: Batch, *, eyes_rest: bool) -> torch.Tensor:
    """Cross entropy at answer tokens, and half of the auxiliary loss unless the eyes rest."""
    seen, auxiliary = torch.zeros(0), torch.tensor(0.0)
    if len(batch.pictures):
        with torch.set_grad_enabled(not eyes_rest):
            seen = network.look(batch.pictures)
            auxiliary = heads(seen, batch.truth)
    spoken = batch.labels != IGNORED
    logits = network.decoder.lm_head(network.read(batch.ids, seen)[spoken])
    return nn.functional.cross_entropy(logits, batch.labels[spoken]) + AUXILIARY * auxiliary


class Step:
    """One optimizer step for a loss: Muon for the matrices of the layers, AdamW for the rest; keeps a running mean."""

    def __init__(self, parts: nn.Module, rate: float, steps: int) -> None:
        """`rate` is the peak after a short warm-up; it falls as a cosine over `steps`."""
        self._weights = [weight for weight in parts.parameters() if weight.requires_grad]
        matrices = [w for name, w in parts.named_parameters() if w.ndim == 2 and ".layers." in name]
        chosen = {id(weight) for weight in matrices}
        rest = [weight for weight in self._weights if id(weight) not in chosen]
        self._optimizers = (
            torch.optim.Muon(matrices, lr=rate, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=DECAY),
        )
        self._schedules = [
            torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: share_of_rate(k, steps))
            for optimizer in self._optimizers
        ]
        self.mean = 0.0

    def __call__(self, loss: torch.Tensor) -> None:
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._weights, 1.0)
        for optimizer, schedule in zip(self._optimizers, self._schedules, strict=True):
            optimizer.step()
            schedule.step()
        self.mean = loss.item() if self.mean == 0.0 else 0.98 * self.mean + 0.02 * loss.item()


def share_of_rate(k: int, steps: int) -> float:
    """Sixty steps up, then down a half cosine."""
    return min(1.0, (k + 1) / 60) * (0.02 + 0.98 * (1 + math.cos(math.pi * k / steps)) / 2)


def rehearse(parts: nn.Module, plan: Round) -> Iterator[Step]:
    """Yield the step as often as the plan says, with a line of progress now and then."""
    step, started = Step(parts, plan.rate, plan.steps), time.monotonic()
    for k in range(plan.steps):
        yield step
        if k % 50 == 49:
            print(
                f"{plan.phase} {k + 1}/{plan.steps} loss {step.mean:.4f} {time.monotonic() - started:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
