"""docs/modules.md says what each module is for, in the module's own words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_modules_does_not_lag() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "modules.py", "--check"], check=False)
    assert done.returncode == 0, "run: python scripts/modules.py"


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "src").rglob("*.py")
        if not path.read_text(encoding="utf-8").startswith('"""')
    ]
    assert silent == []
