"""A picture of a run: for each case a bar per system, as long as its rate is of the fastest one's."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from bench.report import PRODUCT, Row, shown

_WIDTH, _NAMES, _BARS, _ROW, _GAP = 760, 250, 380, 20, 34
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#57606a}.case{font-weight:600}"
    ".ours{fill:#2563eb}.theirs{fill:#9aa4af}.figure{fill:#57606a}"
)


def write_plot(path: Path, rows: Iterable[Row]) -> None:
    """Write an SVG of the cases in which rates were compared."""
    cases: dict[str, list[tuple[str, float]]] = {}
    for row in rows:
        if (rate := row.figures.get("requests/s")) is not None:
            cases.setdefault(row.case, []).append((row.who, rate))
    parts: list[str] = []
    y = 8
    for case, systems in cases.items():
        if len(systems) < 2:
            continue
        y += _GAP - _ROW
        parts.append(f'<text class="case" x="0" y="{y + 12}">{escape(case)}, requests/s</text>')
        y += _ROW
        most = max(rate for _, rate in systems)
        for who, rate in systems:
            parts += _bar(y, who, rate, most)
            y += _ROW
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 8}" role="img" aria-label="Rates of each system">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>\n",
        encoding="utf-8",
    )


def _bar(y: int, who: str, rate: float, most: float) -> list[str]:
    width = max(1.0, _BARS * rate / most)
    kind = "ours" if who.startswith(PRODUCT) else "theirs"
    return [
        f'<text x="{_NAMES - 8}" y="{y + 12}" text-anchor="end">{escape(who)}</text>',
        f'<rect class="{kind}" x="{_NAMES}" y="{y + 2}" width="{width:.1f}" height="{_ROW - 6}" rx="2"/>',
        f'<text class="figure" x="{_NAMES + width + 6:.1f}" y="{y + 12}">{shown(rate)}</text>',
    ]
