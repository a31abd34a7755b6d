"""How soon a jump has come to its line, in a browser on a machine that does nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import httpx2
import pytest
from tests.console.browser import Tab, needs_browser
from tests.console.conftest import run_batch
from tests.console.server import ConsoleServer, line

pytestmark = [needs_browser, pytest.mark.console]
COUNT: Final = 300
JUMP_MS: Final = 200


@pytest.fixture(scope="module")
def some(server: ConsoleServer, http: httpx2.Client) -> str:
    """Lines of which every tenth fails."""
    lines = [
        line(number, f"line {number}", picture=False, model="m" if number % 10 else "status-400")
        for number in range(1, COUNT + 1)
    ]
    return run_batch(server.url, http, lines)


def test_jumps_are_quick(browser: Any, server: ConsoleServer, some: str) -> None:
    tab = Tab(browser, server.url)
    page = tab.go(f"/batches/{some}/results?view=list")
    page.wait_for_selector('[data-line="1"]')

    def took(press: Callable[[], None], target: str) -> float:
        began: float = page.evaluate("performance.now()")
        press()
        page.wait_for_selector(target)
        return float(page.evaluate("performance.now()")) - began

    def go_to_line() -> None:
        page.keyboard.press("g")
        page.keyboard.type("117")
        page.keyboard.press("Enter")

    times = [
        took(lambda: page.keyboard.press("End"), f'[data-line="{COUNT}"]'),
        took(go_to_line, '.cell.at[data-line="117"]'),
        took(lambda: page.keyboard.press("n"), '.cell.at[data-line="120"]'),
    ]
    sys.stdout.write(f"\njumps took {', '.join(f'{one:.0f}' for one in times)} ms\n")
    assert max(times) <= JUMP_MS
    tab.close()
