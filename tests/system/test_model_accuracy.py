"""The shipped weights answer at least 95 of 100 questions exactly, about pictures that training never saw."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pronk.engines import bundled

pytest.importorskip("openvino_genai", reason="needs pronk[bundled]")

MODEL = Path(bundled.__file__).parent / "model" / "openvino"
EVALUATE = Path(__file__).parents[2] / "training" / "evaluate.py"
PICTURES = 200
GATE = 0.95


def test_shipped_weights_hold_the_gate() -> None:
    forms = ("json", "category")
    done = subprocess.run(
        [sys.executable, str(EVALUATE), str(MODEL), "--pictures", str(PICTURES), "--forms", *forms],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures.keys() == set(forms)
    assert all(figure["asked"] == PICTURES for figure in figures.values())
    shares = {form: figure["share"] for form, figure in figures.items()}
    assert min(shares.values()) >= GATE, shares
