"""Every link between pages leads somewhere, in the repository and in the site that is made of it, and every page is in its list."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


SITE = runpy.run_path(str(ROOT / "scripts/site.py"))
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def links(text: str) -> Iterator[str]:
    """Yield where the links and pictures of a page lead, without addresses of the web and blocks of code."""
    for where in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))):
        if "://" not in where and not where.startswith("mailto:"):
            yield where


def anchors(text: str) -> set[str]:
    """Return the names that headings get, on the web and in the site alike."""
    plain = (
        re.sub(r"[`*]|\]\([^)]*\)|\[", "", name)
        for name in re.findall(r"^#+ (.*)$", _FENCE.sub("", text), re.MULTILINE)
    )
    return {re.sub(r"[^\w\- ]", "", name.strip().lower()).replace(" ", "-") for name in plain}


def faults(page: Path) -> list[str]:
    found = []
    for where in links(page.read_text("utf-8")):
        path, _, anchor = where.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            found.append(f"{where}: there is no such file")
        elif anchor and anchor not in anchors(target.read_text("utf-8")):
            found.append(f"{where}: the page has no such heading")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert faults(page) == []


def test_the_site_has_every_page_with_links_that_hold(tmp_path: Path) -> None:
    SITE["assemble"](tmp_path / "pages")
    pages = sorted((tmp_path / "pages").rglob("*.md"))
    assert {str(page.relative_to(tmp_path / "pages")): faults(page) for page in pages if faults(page)} == {}
    listed = re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == [str(page.relative_to(tmp_path / "pages")) for page in pages]
    assert set(SITE["BESIDE"].values()) <= set(listed)


def test_the_check_sees_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# Two `words`, here\n")
    page = tmp_path / "a.md"
    page.write_text("[x](b.md#two-words-here) [y](b.md#none) [z](c.md) `[no](d.md)` [web](https://a.test)\n")
    assert faults(page) == ["b.md#none: the page has no such heading", "c.md: there is no such file"]
