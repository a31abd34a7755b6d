"""Makes docs/performance.md from figures that ``python -m bench --json`` kept: ``python -m bench.page figures.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.report import Row, table

_TARGET = Path(__file__).resolve().parents[1] / "docs" / "performance.md"

_HEAD = """# Performance

Made by `python -m bench.page` from the figures of a run. Each case runs the product as `pronk serve --workers 1` with SQLite and the local disk, a
bare loop of the same parts (same HTTP client, same splice, one synced file, nothing else), and what people use instead, one after the other on the
same machine and work. **Figures mean something as ratios within one run.** "load" is how many processes wanted the machine's cores when a row
ended: above the number of cores, rates say more about the neighbours than about the system; CPU time per request holds better.

The engine and the store answer at once and read nothing (`bench/instant.py`), so what is measured is the server alone. "pronk is" compares rates.
What can be counted instead of timed is held in the everyday suite by `tests/guards/test_costs.py`; what grows with batches, workers and projects
is in [scale](scale.md).

"""


def main() -> None:
    """Write the page from one or more files of figures, with a note about them from standard input."""
    kept = [json.loads(Path(path).read_text()) for path in sys.argv[1:]]
    note = "" if sys.stdin.isatty() else sys.stdin.read().strip() + "\n\n"
    _TARGET.write_text(_HEAD + note + "\n\n".join(map(_run, kept)) + "\n")


def _run(run: dict[str, object]) -> str:
    found: list[dict[str, object]] = run["rows"]  # type: ignore[assignment]  # as write_json wrote it
    machine: dict[str, object] = run["machine"]  # type: ignore[assignment]  # likewise
    rows = [Row(**row) for row in found]  # type: ignore[arg-type]  # likewise
    where = f"{machine['cores']} cores, Python {machine['python']}, {machine['system']}"
    return f"## `{run['command']}`\n\nOn {where}.\n\n{table(rows)}"


if __name__ == "__main__":
    main()
