"""``python -m bench``: the product, a bare loop of its parts, and what people use instead, in one run on the same work.

Quick sizes by default; ``--full`` takes the real ones. Figures mean something as ratios within one run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.cases.latency import api_latency
from bench.cases.memory import memory
from bench.cases.pictures import dedupe, far, huge_images, images, large_images
from bench.cases.recovery import recovery
from bench.cases.saturate import saturate
from bench.cases.scale import scale
from bench.cases.scaling import queue, workers
from bench.cases.text import intake, text
from bench.plot import write_plot
from bench.report import Row, table, write_json
from bench.world import World

CASES: dict[str, Callable[[World], list[Row]]] = {
    "text": text,
    "intake": intake,
    "memory": memory,
    "images": images,
    "images-1mb": large_images,
    "images-5mb": huge_images,
    "dedupe": dedupe,
    "far": far,
    "api-latency": api_latency,
    "recovery": recovery,
    "scale": scale,
    "saturate": saturate,
    "queue": queue,
    "workers": workers,
}

GROUPS = {"media": ("images", "images-5mb", "dedupe", "far")}
"""Cases that answer one question together."""

_ROOT = Path(__file__).resolve().parents[1]


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="pronk bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [*CASES, *GROUPS]
    parser.add_argument("case", nargs="*", choices=[[], *known], help=f"{', '.join(known)}; all by default")
    parser.add_argument("--full", action="store_true", help="the real sizes; minutes instead of seconds")
    parser.add_argument("--no-peers", action="store_true", help="the product and the bare loop alone")
    parser.add_argument(
        "--ray",
        type=lambda path: Path(path).absolute(),
        help="a Python with ray[data] and pandas, to run that peer too",
    )
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    parser.add_argument("--plot", type=Path, help="where to draw the rates, as SVG")
    return parser.parse_args(arguments)


def run(arguments: list[str]) -> int:
    given = parse(arguments)
    kept = given.json.resolve() if given.json else None
    drawn = given.plot.resolve() if given.plot else None
    os.chdir(_ROOT)
    rows: list[Row] = []
    for name in _names(given.case):
        with tempfile.TemporaryDirectory(prefix="pronk-bench-") as folder:
            found = CASES[name](World(Path(folder), given.full, given.ray, not given.no_peers))
        print(table(found), end="\n\n", flush=True)
        rows += found
        if kept:
            write_json(kept, rows, _command(given))
    if drawn:
        write_plot(drawn, rows)
    return 0


def _names(asked: list[str]) -> list[str]:
    return [name for case in asked or CASES for name in GROUPS.get(case, (case,))]


def _command(given: argparse.Namespace) -> str:
    """Return how to repeat the run, without the paths of this machine."""
    flags = {"--full": given.full, "--no-peers": given.no_peers, "--ray PYTHON": given.ray}
    return " ".join(["python -m bench", *given.case, *(flag for flag, is_on in flags.items() if is_on)])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
