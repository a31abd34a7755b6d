"""The pages in a real browser: Debian's Chromium. Skipped, and said so, where there is none.

The short form looks at every page once; the full one (``make test-console``) at light and dark, on a desktop and on a phone.
"""

from __future__ import annotations

from typing import Any, Final

import httpx2
import pytest
from tests.console.browser import Tab, faults_of, needs_browser
from tests.console.conftest import run_batch
from tests.console.server import ConsoleServer, line

pytestmark = needs_browser
PAGES: Final = ("/", "/batches/{id}", "/batches/{id}/results", "/batches/{id}/results?view=grid", "/batches/{id}/results?line=2", "/new", "/playground", "/jobs", "/engines", "/settings", "/errors", "/keys", "/compare?left={id}&right={id}&kind=same")  # fmt: skip
COUNT: Final = 1800


@pytest.fixture(scope="module")
def many(server: ConsoleServer, http: httpx2.Client) -> str:
    """Some thousand lines, every hundredth of which fails."""
    lines = [line(number, f"line {number}", picture=False, **({"model": "status-400"} if number % 100 == 50 else {})) for number in range(1, COUNT + 1)]  # fmt: skip
    return run_batch(server.url, http, lines)


def looked_at(tab: Tab, path: str) -> list[str]:
    page = tab.go(path)
    page.wait_for_load_state("load")
    page.wait_for_timeout(250)
    return faults_of(tab)


def test_every_page_is_sound(browser: Any, server: ConsoleServer, many: str) -> None:
    tab = Tab(browser, server.url)
    assert [fault for path in PAGES for fault in looked_at(tab, path.replace("{id}", many))] == []


@pytest.mark.console
@pytest.mark.parametrize("form", [{}, {"dark": True}, {"phone": True}, {"dark": True, "phone": True}])
def test_every_page_is_sound_in_every_form(
    browser: Any, server: ConsoleServer, many: str, hostile: str, form: dict[str, bool]
) -> None:
    tab = Tab(browser, server.url, **form)
    for path in PAGES:
        assert looked_at(tab, path.replace("{id}", many)) == []
        assert looked_at(tab, path.replace("{id}", hostile)) == []


def test_a_long_list_keeps_few_elements_and_reaches_every_line(
    browser: Any, server: ConsoleServer, many: str
) -> None:
    tab = Tab(browser, server.url)
    page = tab.go(f"/batches/{many}/results?view=list")
    page.wait_for_selector('[data-line="1"]')
    page.keyboard.press("End")
    page.wait_for_selector(f'[data-line="{COUNT}"]')
    assert page.locator("#view *").count() <= 400
    page.keyboard.press("g")
    page.keyboard.type("1717")
    page.keyboard.press("Enter")
    page.wait_for_selector('.cell.at[data-line="1717"]')
    page.keyboard.press("n")
    page.wait_for_selector('.cell.at[data-line="1750"]')
    page.keyboard.press("v")
    page.wait_for_selector("#view.grid")
    page.wait_for_selector('.cell.at[data-line="1750"]')
    assert page.locator("#view *").count() <= 400
    assert tab.faults == []


def test_a_line_is_walked_by_keys_and_its_address_brings_it_back(
    browser: Any, server: ConsoleServer, many: str
) -> None:
    tab = Tab(browser, server.url)
    page = tab.go(f"/batches/{many}/results?view=list")
    page.wait_for_selector('[data-line="1"]')
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector('#panel [data-line="1"]')
    page.keyboard.press("Escape")
    page.wait_for_selector("#panel", state="hidden")
    assert page.evaluate("document.activeElement.dataset.line") == "1"
    page.keyboard.press("Enter")
    page.wait_for_selector('#panel [data-line="1"]')
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.wait_for_selector('#panel [data-line="2"]')
    assert "line=2" in page.url
    page.reload()
    page.wait_for_selector('#panel [data-line="2"]')
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    assert "Next failed line" in page.locator("#help").inner_text()


def test_the_theme_is_kept_and_the_palette_finds_pages(
    browser: Any, server: ConsoleServer, many: str
) -> None:
    page = Tab(browser, server.url).go("/")
    before = page.evaluate("document.documentElement.dataset.theme")
    page.keyboard.press("t")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") != before
    page.keyboard.press("Control+k")
    page.keyboard.type("playg")
    page.keyboard.press("Enter")
    page.wait_for_url("**/playground")


def test_filters_stand_in_the_address_and_come_back(browser: Any, server: ConsoleServer, many: str) -> None:
    page = Tab(browser, server.url).go("/")
    page.wait_for_selector(f"#row-{many}")
    page.keyboard.press("/")
    page.keyboard.type("surely nothing")
    page.wait_for_selector("text=Nothing fits")
    assert "q=surely" in page.url
    page.reload()
    page.wait_for_selector("text=Nothing fits")
    page.go_back()
    page.wait_for_selector(f"#row-{many}")


@pytest.mark.console
def test_hidden_tabs_ask_nothing(browser: Any, server: ConsoleServer) -> None:
    tab = Tab(browser, server.url)
    page = tab.go("/")
    page.wait_for_timeout(500)
    asked: list[str] = []
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true}); document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(6000)
    assert asked == []
