"""Debian's Chromium and its tabs: what goes wrong in a page is noted, every other host is refused."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

CHROMIUM: Final = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
SHOTS: Final = Path("artefacts/console")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine: the console is NOT tested in a browser"
)
FORMS: Final = {
    "desktop": {},
    "desktop-dark": {"dark": True},
    "phone": {"phone": True},
    "phone-dark": {"dark": True, "phone": True},
}


@contextmanager
def open_browser() -> Iterator[Any]:
    """Give a browser; it ends with the block."""
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


class Tab:
    """A page that notes what goes wrong and refuses every other host."""

    def __init__(
        self, browser: Any, url: str, *, dark: bool = False, phone: bool = False, **more: Any
    ) -> None:
        size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 860}
        self.context = browser.new_context(
            viewport=size,
            color_scheme="dark" if dark else "light",
            has_touch=phone,
            is_mobile=phone,
            permissions=["clipboard-read", "clipboard-write"],
            **more,
        )
        self.context.set_default_timeout(120_000)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.strangers: list[str] = []
        self.url = url
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._heard)
        self.context.route(lambda address: not address.startswith((url, "data:", "blob:")), self._refuse)

    def go(self, path: str) -> Any:
        """Open a page of the server and return it."""
        self.page.goto(self.url + path)
        return self.page

    def close(self) -> None:
        """Close it and everything that it keeps."""
        self.context.close()

    def _heard(self, message: Any) -> None:
        if message.type == "error" and "the server responded with a status of 4" not in message.text:
            self.faults.append(message.text)

    def _refuse(self, route: Any) -> None:
        self.strangers.append(route.request.url)
        route.abort()


def serious(page: Any) -> list[str]:
    """Return what axe-core finds of serious faults, each with where."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{fault['id']}: {fault['nodes'][0]['html'][:160]}"
        for fault in found
        if fault["impact"] in {"serious", "critical"}
    ]


def faults_of(tab: Tab) -> list[str]:
    """Return everything that is wrong with what a tab shows: faults of scripts, of access, of width, and foreign addresses."""
    where = tab.page.url.removeprefix(tab.url)
    wide = tab.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    found = [*serious(tab.page), *tab.faults, *tab.strangers]
    if wide > 0:
        found.append(f"{wide} pixels wider than the screen")
    return [f"{where}: {fault}" for fault in found]


def keep_picture(tab: Tab, name: str) -> None:
    """Keep what a tab shows as a picture for people."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    tab.page.screenshot(path=SHOTS / f"{name}.png")
