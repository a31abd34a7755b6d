"""docs/reference.md is what the code says, and the code has no error code that the page does not have."""

from __future__ import annotations

import ast
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [path for path in (ROOT / "src/pronk").rglob("*.py") if "bundled" not in path.parts]


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts/reference.py"))


def test_the_page_is_current(reference: dict[str, Any]) -> None:
    assert reference["PAGE"].read_text("utf-8") == reference["page"](), "run: make reference"


def test_every_code_that_is_raised_is_on_the_page(reference: dict[str, Any]) -> None:
    known = {*reference["LINE_CODES"], *reference["FILE_CODES"], *reference["API_CODES"]}
    used = {code: path for path in SOURCES for code in _codes(ast.parse(path.read_text("utf-8")))}
    assert {code: str(path) for code, path in used.items() if code not in known} == {}


def test_every_code_on_the_page_is_in_the_code(reference: dict[str, Any]) -> None:
    known = {*reference["LINE_CODES"], *reference["FILE_CODES"], *reference["API_CODES"]}
    texts = {text for path in SOURCES for text in _texts(ast.parse(path.read_text("utf-8")))}
    assert {code for code in known if code.removeprefix("image_") not in texts and code not in texts} == set()


def _codes(tree: ast.AST) -> Iterator[str]:
    """Yield the codes that calls name: code="…", EngineError("…"), a line's finding, a reference's failure."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        wanted = [each.value for each in node.keywords if each.arg == "code"]
        wanted += node.args[:1] if called in {"EngineError", "MediaError", "failure"} else []
        wanted += node.args[1:2] if called == "_finding" else []
        prefix = "image_" if called == "failure" else ""
        yield from (prefix + text for each in wanted for text in _constants(each))


def _constants(node: ast.expr) -> Iterator[str]:
    """Yield what an expression may be, as far as it can be read off."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
