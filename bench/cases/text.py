"""Requests of text on an instant engine: the whole durable way, from the creation of a batch to its result file."""

from __future__ import annotations

from bench.inputs import text_file
from bench.instant import instant
from bench.measure import load
from bench.product import Outcome, product
from bench.report import PRODUCT, Row
from bench.world import Work, World, ours

BYTES_200_MB = 199_000_000


def text(world: World) -> list[Row]:
    """Many small requests; the bare loop, the official SDK and Ray Data on the same file and engine."""
    lines = world.size(10_000, 50_000)
    file = text_file(world.folder / "text.jsonl", lines)
    with instant() as engine:
        with product(world.folder / "text", engine.engine) as server:
            server.warm(text_file(world.folder / "warm.jsonl", 500))
            rows = [ours("text", server.run(server.upload(file)))]
        rows.append(world.loop("text", Work(file, engine.engine)))
        rows += world.peer("text", "Ray Data HTTP processor", "ray", Work(file, engine.engine))
        short = text_file(world.folder / "short.jsonl", world.size(2_000, 10_000))
        rows += world.peer("text", "official SDK, 64 threads", "sdk", Work(short, engine.engine))
    return rows


def intake(world: World) -> list[Row]:
    """A large file: how long its check takes, how long its results take to write, and how long after the last answer."""
    lines = world.size(10_000, 50_000)
    size = BYTES_200_MB * lines // 50_000
    file = text_file(world.folder / "large.jsonl", lines, size // lines)
    with instant() as engine, product(world.folder / "intake", engine.engine) as server:
        server.warm(text_file(world.folder / "warm.jsonl", 500))
        outcome = server.run(server.upload(file))
    return [Row("intake", PRODUCT, {**_phases(outcome), "lines": lines, "MB": size / 1e6}, load())]


def _phases(outcome: Outcome) -> dict[str, float]:
    cpu = outcome.cpu_at
    return {
        "intake s": outcome.reached["in_progress"] - outcome.began,
        "intake CPU s": cpu["in_progress"],
        "last answer to completed s": outcome.between("finalizing", "completed"),
        "finalize CPU s": cpu["completed"] - cpu.get("finalizing", cpu["completed"]),
        "requests/s in all": outcome.batch["request_counts"]["total"] / outcome.seconds,
        "peak MiB": outcome.peak_mib,
    }
