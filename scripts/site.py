"""Puts the pages together for mkdocs: docs/, with the README as quickstart, CONTRIBUTING and CHANGELOG beside them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BESIDE = {"README.md": "quickstart.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages outside docs/, and what they are called among the others."""

_LINK = re.compile(r"(\]\()([^)#\s]+)")


def assemble(target: Path) -> None:
    """Write every page to a folder that is made anew, with links that hold there."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "docs", target)
    for page in target.rglob("*.md"):
        home = ROOT / "docs" / page.relative_to(target)
        page.write_text(_relinked(page.read_text("utf-8"), home, page, target), "utf-8")
    for name, new in BESIDE.items():
        text = (ROOT / name).read_text("utf-8")
        (target / new).write_text(_relinked(text, ROOT / name, target / new, target), "utf-8")


def _relinked(text: str, home: Path, page: Path, target: Path) -> str:
    """Return a page whose links into the repository lead to the pages' new places."""

    def moved(found: re.Match[str]) -> str:
        where = found[2]
        if "://" in where or where.startswith("mailto:"):
            return found[0]
        path = (home.parent / where).resolve().relative_to(ROOT)
        if path.parts[0] == "docs":
            new = target / path.relative_to("docs")
        elif str(path) in BESIDE:
            new = target / BESIDE[str(path)]
        else:
            return found[0]
        return found[1] + Path(os.path.relpath(new, page.parent)).as_posix()

    return _LINK.sub(moved, text)


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
