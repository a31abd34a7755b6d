"""Writes docs/modules.md: every module of pronk with the first line of its docstring. `--check` only compares."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "modules.md"
HEAD = "# Modules\n\nMade by `python scripts/modules.py` from the first line of each module.\n"


def render() -> str:
    """Return the page as it should be."""
    rooms: dict[str, list[str]] = {}
    source = ROOT / "src"
    for path in sorted((source / "pronk").rglob("*.py")):
        line = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        room = path.parent.relative_to(source).as_posix()
        if path.name == "__init__.py":
            rooms.setdefault(room, []).insert(0, f"\n## {room}\n{line}\n")
        elif line:
            rooms.setdefault(room, []).append(f"- `{path.stem}`: {line}")
    return HEAD + "\n".join("\n".join(lines) for _, lines in sorted(rooms.items())) + "\n"


def main() -> int:
    """Write the page, or say whether it lags."""
    if "--check" in sys.argv:
        return int(TARGET.read_text(encoding="utf-8") != render())
    TARGET.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
