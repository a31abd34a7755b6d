"""Only the settings read the environment, so that whatever can be set is known, checked and listed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "pronk"
READERS = {"environ", "environb", "getenv", "putenv", "unsetenv"}


def test_only_the_settings_read_the_environment() -> None:
    paths = (path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] != "settings")
    assert [f"{path.relative_to(SOURCE)}:{line}" for path in paths for line in _readings(path)] == []


def _readings(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute):
            is_reading = node.attr in READERS and ast.unparse(node.value) == "os"
        elif isinstance(node, ast.ImportFrom):
            is_reading = node.module == "os" and bool(READERS & {each.name for each in node.names})
        else:
            continue
        if is_reading:
            yield node.lineno
