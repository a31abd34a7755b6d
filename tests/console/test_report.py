"""A report is one file: small, with its pictures, and it asks nobody for anything."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image
from tests.console.browser import CHROMIUM
from tests.console.conftest import run_batch
from tests.console.hostile import PAYLOADS
from tests.console.server import ConsoleServer, line

from pronk.console.report import MAX_BYTES, MAX_LINES, evenly

COUNT = 420


def noisy(number: int) -> str:
    """A picture that is as hard to make small as pictures get."""
    data = io.BytesIO()
    Image.effect_noise((300, 240), 90 + number % 40).convert("RGB").save(data, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


@pytest.fixture(scope="module")
def report(server: ConsoleServer, http: httpx2.Client) -> httpx2.Response:
    pictures = [noisy(number) for number in range(8)]
    lines = [line(number, PAYLOADS[number % len(PAYLOADS)] * 40, reference=pictures[number % 8], model="status-400" if number % 50 == 9 else "m") for number in range(COUNT)]  # fmt: skip
    batch = run_batch(server.url, http, lines, "report.jsonl")
    return http.get(f"/batches/{batch}/report")


class Outside(HTMLParser):
    """What a page would ask others for, and what it would run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.pictures = 0
        self.articles = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.pictures += tag == "img"
        self.articles += tag == "article"
        if tag in {"script", "link", "iframe", "object", "embed", "base", "form", "svg", "a"}:
            self.asked.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.asked.append(f"{name}={value}")
            if name in {"src", "srcset", "href", "action"} and not str(value).startswith("data:image/"):
                self.asked.append(f"{name}={value}")


def test_a_report_has_pictures_stays_small_and_asks_nobody(report: httpx2.Response) -> None:
    assert report.headers["content-disposition"].startswith("attachment")
    assert len(report.content) <= MAX_BYTES
    found = Outside(report.text)
    assert found.asked == []
    assert found.articles == MAX_LINES
    assert found.pictures >= 300
    style = report.text.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert f"{MAX_LINES} of these lines, in equal steps" in report.text


def test_a_report_is_of_its_filter(server: ConsoleServer, http: httpx2.Client) -> None:
    lines = [line(number, f"text {number}", model="status-400" if number % 5 == 0 else "m") for number in range(20)]  # fmt: skip
    batch = run_batch(server.url, http, lines, "small.jsonl")
    found = http.get(f"/batches/{batch}/report?filter=state:ok").text
    assert "16 lines of <code>state:ok</code>" in found
    assert (found.count("<article"), Outside(found).pictures) == (16, 16)


def test_lines_are_picked_evenly() -> None:
    assert evenly([1, 2, 3], 5) == [1, 2, 3]
    assert evenly(list(range(1, 50_001)), 400)[:2] == [1, 126]
    picked = evenly(list(range(1, 50_001)), 400)
    assert (picked[-1], len(set(picked))) == (50_000, 400)


@pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine: the report is NOT opened in a browser"
)
def test_a_report_opens_without_a_network(browser: Any, report: httpx2.Response, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(report.content)
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    images = page.evaluate("[...document.images].map((one) => one.naturalWidth)")
    assert len(images) >= 300
    assert min(images) > 0
    assert [url for url in asked if not url.startswith(("data:", path.as_uri()))] == []
    assert said == []
    context.close()
