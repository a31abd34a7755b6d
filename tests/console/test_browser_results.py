"""The results page in a real browser: filters, brushes, groups, density. Skipped, and said so, where there is none."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from tests.console.browser import Tab, needs_browser, serious
from tests.console.conftest import run_batch
from tests.console.server import ConsoleServer, line

pytestmark = needs_browser
COUNT = 200
SHAPES = ("circle", "star", "square")


@pytest.fixture(scope="module")
def shapes(server: ConsoleServer, http: httpx2.Client) -> str:
    """Lines with a shape and a number; every twentieth fails."""
    lines = [
        line(number, json.dumps({"shape": SHAPES[number % 3], "score": number}), picture=False, **({"model": "status-400"} if number % 20 == 19 else {}))
        for number in range(COUNT)
    ]  # fmt: skip
    return run_batch(server.url, http, lines, "shapes.jsonl")


def shown(page: Any, count: int) -> None:
    page.wait_for_selector(f'#count b:text-is("{count}")')


def test_a_range_is_brushed_and_a_bin_is_clicked(browser: Any, server: ConsoleServer, shapes: str) -> None:
    tab = Tab(browser, server.url)
    page = tab.go(f"/batches/{shapes}/results?filter=state:ok")
    bins = page.wait_for_selector('#facets [data-bins][data-name="field.score"]')
    box = bins.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 10, steps=4)
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 10, steps=4)
    page.mouse.up()
    page.wait_for_url("**min.field.score=**")
    typed = page.locator("[data-search]").input_value()
    low, high = (float(part.split("=")[1]) for part in typed.split() if part.startswith("field.score"))
    assert abs(low - COUNT * 0.25) <= 3
    assert abs(high - COUNT * 0.75) <= 3
    shown(page, sum(low <= number <= high for number in range(COUNT) if number % 20 != 19))
    page.reload()
    assert page.locator("[data-search]").input_value() == typed
    first = page.wait_for_selector('#facets [data-bins][data-name="field.score"] a')
    count = int(first.get_attribute("data-count"))
    first.click()
    page.wait_for_url("**under.field.score=**")
    shown(page, count)
    assert tab.faults == []


def test_a_column_head_shows_how_it_is_spread_and_filters(
    browser: Any, server: ConsoleServer, shapes: str
) -> None:
    tab = Tab(browser, server.url)
    page = tab.go(f"/batches/{shapes}/results")
    page.wait_for_selector("#view .cell")
    page.keyboard.press("c")
    page.wait_for_selector('#columns [data-column="field.score"] [data-bins]')
    page.wait_for_selector("#view.table .line-row")
    assert page.locator("#view *").count() <= 400
    assert serious(page) == []
    star = page.locator('#columns [data-column="field.shape"] a[title="star"]')
    count = int(star.get_attribute("data-count") or 0)
    star.click()
    page.wait_for_selector('[data-chip="field.shape:star"]')
    shown(page, count)
    page.wait_for_selector("#view.table .line-row")
    assert tab.faults == []


def test_groups_are_walked_by_arrows_and_the_typed_filter_stays(
    browser: Any, server: ConsoleServer, shapes: str
) -> None:
    tab = Tab(browser, server.url)
    page = tab.go(f"/batches/{shapes}/results?filter=field.score%3E%3D100&by=field.shape&view=list")
    page.wait_for_selector("#groups [data-step-group]")
    counts: list[int] = []
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(f'#groups [role="status"]:has-text("{len(counts) + 1} of 3")')
        assert "field.score>=100" in page.locator("[data-search]").input_value()
        counts.append(int(page.locator("#count b").inner_text()))
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector('#groups [role="status"]:has-text("2 of 3")')
    assert sum(counts) == sum(number % 20 != 19 for number in range(100, COUNT))
    assert serious(page) == []
    assert tab.faults == []


def test_pictures_in_a_row_are_three_to_sixteen_by_one_control_and_remembered(
    browser: Any, server: ConsoleServer, shapes: str
) -> None:
    tab = Tab(browser, server.url)
    page = tab.go(f"/batches/{shapes}/results?view=grid")
    page.wait_for_selector("#view.grid .cell")

    def in_a_row() -> int:
        return int(page.evaluate("(() => { const cells = [...document.querySelectorAll('#view .cell')].map((c) => c.getBoundingClientRect()); const top = Math.min(...cells.map((c) => c.top)); return cells.filter((c) => c.top === top).length; })()"))  # fmt: skip

    assert in_a_row() == 6
    for key, wanted in (("+", range(5, 2, -1)), ("-", range(4, 17))):
        for count in wanted:
            page.keyboard.press(key)
            assert in_a_row() == count
        page.keyboard.press(key)
        assert in_a_row() == (3 if key == "+" else 16)
    page.reload()
    page.wait_for_selector("#view.grid .cell")
    assert in_a_row() == 16
    assert page.locator("#density input").input_value() == "16"
    page.locator("#density input").fill("8")
    assert in_a_row() == 8
    other = tab.context.new_page()
    other.goto(f"{server.url}/batches/{shapes}/results")
    other.wait_for_selector("#view.grid .cell")
    assert other.locator("#density input").input_value() == "8"
    assert tab.faults == []


def test_what_is_typed_and_cannot_be_read_is_told_beside_it(
    browser: Any, server: ConsoleServer, shapes: str
) -> None:
    page = Tab(browser, server.url).go(f"/batches/{shapes}/results")
    page.wait_for_selector("#view .cell")
    page.keyboard.press("/")
    page.keyboard.type("shape:star")
    page.keyboard.press("Enter")
    page.wait_for_selector('[role="alert"]')
    assert "there is no 'shape' to filter by" in page.locator('[role="alert"]').inner_text()
    assert page.locator("[data-search]").input_value() == "shape:star"
    page.locator("[data-search]").fill("field.shape:star")
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-chip="field.shape:star"]')
    shown(page, sum(number % 3 == 1 and number % 20 != 19 for number in range(COUNT)))


def test_what_is_done_in_bulk_says_how_many_and_which_first(
    browser: Any, server: ConsoleServer, shapes: str
) -> None:
    tab = Tab(browser, server.url)
    page = tab.go(f"/batches/{shapes}/results?filter=field.shape:star&view=list")
    page.wait_for_selector("#view .cell")
    count = sum(number % 3 == 1 and number % 20 != 19 for number in range(COUNT))
    page.locator("[data-bulk-open]").click()
    page.wait_for_selector(f'#bulk-title:text-is("{count} lines")')
    assert "field.shape:star" in page.locator("#bulk").inner_text()
    assert serious(page) == []
    page.evaluate("document.querySelector('[data-bulk]').dataset.seal = 'another'")
    page.locator("#bulk [name=mark]").fill("seen")
    page.locator('[data-deed="mark"] button').click()
    page.wait_for_selector('#bulk [role="alert"]:has-text("nothing was done")')
    page.locator("#bulk [name=mark]").fill("seen")
    page.locator('[data-deed="mark"] button').click()
    page.wait_for_selector('#view .cell[data-mark="seen"]')
    assert not page.locator("#bulk").is_visible()


def test_what_is_alike_is_found_beside_the_line(
    browser: Any, server: ConsoleServer, http: httpx2.Client
) -> None:
    batch = run_batch(server.url, http, [line(number, "the same words for all", picture=number < 3) for number in range(4)])  # fmt: skip
    tab = Tab(browser, server.url)
    page = tab.go(f"/batches/{batch}/results?line=1")
    page.locator('#panel [data-into="alike"]').click()
    page.wait_for_selector('[data-found="alike"] a[href="?line=3"]')
    page.locator('#panel [data-into="resembling"]').click()
    page.wait_for_selector('[data-found="resembling"] [data-near="3"]')
    assert page.locator("[data-near]").count() == 2
    assert serious(page) == []
    page.locator('[data-near="3"]').click()
    page.wait_for_selector('#panel [data-line="3"]')
    assert tab.faults == []
