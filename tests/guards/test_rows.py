"""Every failure, every attack and everything that the console can do has its row in the documents, and the tests that a row names are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"
PAGES = {"C": ("console.md", 50), "D": ("operations.md", 24), "S": ("security.md", 25)}
LONG = ("chaos", "fuzz", "console", "scale", "soak", "mixed")
"""Markers of tests that `make test` leaves out."""

_TEST = re.compile(r"(\*long\* )?`(\w[\w/]*\.py)::(\w+)`")


def rows(letter: str) -> dict[str, list[str]]:
    """Return the cells of each row of a page, by its number."""
    name, _ = PAGES[letter]
    lines = (DOCS / name).read_text("utf-8").splitlines()
    split = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    found: dict[str, list[str]] = {}
    for number, *cells in split:
        if re.fullmatch(rf"{letter}\d+", number):
            assert number not in found, f"{number} stands twice"
            found[number] = cells
    return found


def named(cells: list[str]) -> Iterator[tuple[Path, str, bool]]:
    """Yield the tests that a row names: file, function, and whether it is said to be a long one."""
    for cell in cells:
        for long, file, test in _TEST.findall(cell):
            yield TESTS / file, test, bool(long)


@lru_cache
def found_in(path: Path) -> dict[str, set[str]]:
    """Return the tests of a file with the markers that they carry themselves or by their module."""
    tree = ast.parse(path.read_text("utf-8"))
    whole = {mark for node in tree.body if isinstance(node, ast.Assign) for mark in _marks(node)}
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {
        each.name: whole | {mark for decorator in each.decorator_list for mark in _marks(decorator)}
        for each in functions
    }


def _marks(node: ast.AST) -> set[str]:
    return set(re.findall(r"pytest\.mark\.(\w+)", ast.unparse(node)))


@pytest.mark.parametrize("letter", PAGES)
def test_every_row_is_there_once_and_names_a_test_and_a_result(letter: str) -> None:
    found = rows(letter)
    assert list(found) == [f"{letter}{number}" for number in range(1, PAGES[letter][1] + 1)]
    without = [number for number, cells in found.items() if not list(named(cells))]
    assert [number for number in without if not found[number][-1].startswith("not built")] == []
    assert [number for number, cells in found.items() if len(cells[-1]) < len("passes")] == []


@pytest.mark.parametrize("letter", PAGES)
def test_every_test_that_a_row_names_is_there_and_runs_when_it_says(letter: str) -> None:
    for number, cells in rows(letter).items():
        for path, test, is_long in named(cells):
            where = f"{number}: {path.relative_to(TESTS)}::{test}"
            assert path.exists(), where
            assert test in found_in(path), where
            assert bool(found_in(path)[test] & set(LONG)) == is_long, where
