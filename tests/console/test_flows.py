"""Every flow of the console over real servers: rclone's S3, ``pronk serve``, a worker, the bundled engine, and Chromium.

Each leaves pictures of what it saw in ``artefacts/console``, for people to look at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.console.browser import FORMS, Tab, faults_of, keep_picture, needs_browser
from tests.console.conftest import wait_for
from tests.console.real import LARGE, Real, real_servers
from tests.console.server import console_server

pytestmark = [needs_browser, pytest.mark.console]
TASKS = 60


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    with real_servers(tmp_path_factory.mktemp("real")) as running:
        yield running


@pytest.fixture(scope="module")
def http(real: Real) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=real.url, timeout=60, headers={"accept": "text/html"}) as client:
        yield client


@pytest.fixture
def tab(browser: Any, real: Real) -> Iterator[Tab]:
    opened = Tab(browser, real.url)
    yield opened
    opened.close()


def run(http: httpx2.Client, data: bytes, name: str) -> str:
    """Run a batch to its end over the API; return its id."""
    file = http.post("/v1/files", data={"purpose": "batch"}, files={"file": (name, data)}).json()
    body = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "unlimited"}
    made = http.post("/v1/batches", json=body).json()
    wait_for(lambda: http.get(f"/v1/batches/{made['id']}").json()["status"] == "completed", 120)
    wait_for(lambda: http.get(f"/batches/{made['id']}/rows?n=0").headers["x-whole"] == "1")
    return str(made["id"])


@pytest.fixture(scope="module")
def batch(real: Real, http: httpx2.Client) -> str:
    return run(http, real.lines(240), "Drawn shapes.jsonl")


@pytest.fixture(scope="module")
def other(real: Real, http: httpx2.Client) -> str:
    data = real.lines(240).replace(b'"max_tokens": 96', b'"max_tokens": 5')
    return run(http, data, "Drawn shapes, five tokens.jsonl")


@pytest.fixture(scope="module")
def wrong(http: httpx2.Client) -> str:
    """A batch whose file cannot be run."""
    data = b'{"custom_id": "a"}\nnot json\n'
    file = http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("wrong.jsonl", data)}).json()
    body = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    made = http.post("/v1/batches", json=body).json()
    wait_for(lambda: http.get(f"/v1/batches/{made['id']}").json()["status"] == "failed")
    return str(made["id"])


def shown(page: Any, selector: str) -> None:
    """Wait until every picture of a part of the page that is on screen has come."""
    page.wait_for_function(
        """(selector) => { const all = [...document.querySelectorAll(selector)].filter((image) => {
          const box = image.getBoundingClientRect(); return box.bottom > 0 && box.top < innerHeight; });
        return all.length > 0 && all.every((image) => image.complete && image.naturalWidth > 0); }""",
        arg=selector,
    )


PAGES = {
    "batches": "/",
    "batches-none": "/?q=surely-nothing",
    "batch": "/batches/{batch}",
    "batch-wrong": "/batches/{wrong}",
    "results-list": "/batches/{batch}/results",
    "results-grid": "/batches/{batch}/results?view=grid",
    "results-line": "/batches/{batch}/results?view=list&line=3",
    "results-failed": "/batches/{batch}/results?state=failed",
    "compare": "/compare?left={batch}&right={other}",
    "compare-none": "/compare",
    "new": "/new",
    "playground": "/playground?batch={batch}&line=3",
    "jobs": "/jobs",
    "engines": "/engines",
    "settings": "/settings",
    "keys": "/keys",
    "codes": "/errors",
    "code": "/errors/image_not_found",
    "login": "/login",
    "missing": "/nothing-is-here",
}


@pytest.fixture(scope="module")
def places(batch: str, other: str, wrong: str) -> dict[str, str]:
    return {name: path.format(batch=batch, other=other, wrong=wrong) for name, path in PAGES.items()}


@pytest.mark.parametrize("form", FORMS)
def test_every_page_is_sound_in_every_form(
    browser: Any, real: Real, places: dict[str, str], form: str
) -> None:
    tab = Tab(browser, real.url, **FORMS[form])
    found: list[str] = []
    for name, path in places.items():
        page = tab.go(path)
        page.wait_for_load_state("networkidle" if not page.locator("main[data-live]").count() else "load")
        if "grid" in name or "list" in name or name == "results-line":
            shown(page, "#view .thumb img")
        if name == "results-line":
            page.wait_for_selector("#panel .line")
        keep_picture(tab, f"{form}-{name}")
        found += faults_of(tab)
        tab.faults.clear()
    tab.close()
    assert found == []


@pytest.mark.parametrize("form", FORMS)
def test_every_dialog_is_sound_in_every_form(browser: Any, real: Real, batch: str, form: str) -> None:
    tab = Tab(browser, real.url, **FORMS[form])
    found: list[str] = []
    page = tab.go(f"/batches/{batch}")

    def look(name: str) -> None:
        keep_picture(tab, f"{form}-dialog-{name}")
        found.extend(f"{name}: {fault}" for fault in faults_of(tab))

    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    look("keys")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.wait_for_selector("#palette[open] li")
    look("palette")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Clone").click()
    page.wait_for_selector("#ask[open]")
    look("ask")
    page.keyboard.press("Escape")
    page.locator(".menu summary", has_text="Copy as").click()
    look("menu")
    for item in page.locator(".menu[open] > div > *").all():
        box = item.bounding_box()
        if box["x"] < 0 or box["x"] + box["width"] > page.viewport_size["width"]:
            found.append(f"the menu's {item.inner_text()!r} is off the screen")
    page = tab.go(f"/batches/{batch}/results?line=2&view=list")
    page.wait_for_selector("#panel [data-full]")
    page.locator("#panel [data-full]").first.click()
    page.wait_for_selector("#zoom[open]")
    shown(page, "#zoom img")
    look("zoom")
    page.keyboard.press("Escape")
    tab.close()
    assert found == []


def test_a_file_is_dropped_checked_started_and_seen_through(
    tab: Tab, real: Real, http: httpx2.Client
) -> None:
    page = tab.go("/new")
    data = real.lines(TASKS).decode()
    page.evaluate(
        """(text) => { const given = new DataTransfer();
        given.items.add(new File([text], "dropped.jsonl", { type: "application/jsonl" }));
        for (const name of ["dragover", "drop"]) document.querySelector("#drop").dispatchEvent(new DragEvent(name, { dataTransfer: given, bubbles: true, cancelable: true })); }""",
        data,
    )
    page.wait_for_selector("#file:has-text('is up')")
    page.click("#check")
    page.wait_for_selector("#found")
    assert "some lines would fail" in page.inner_text("#found")
    assert faults_of(tab) == []
    keep_picture(tab, "flow-check")
    page.fill("input[name=name]", "dropped by a test")
    page.click("#start")
    page.wait_for_url(re.compile(r"/batches/batch_"))
    page.wait_for_selector("#batch-now .status.completed", timeout=90_000)
    page.wait_for_selector(".failure")
    batch = page.url.rpartition("/")[2]
    known = http.get(f"/v1/batches/{batch}").json()
    assert known["metadata"] == {"name": "dropped by a test"}
    counts = known["request_counts"]
    assert page.locator("#batch-now .tile dd").nth(0).inner_text() == str(counts["completed"])
    keep_picture(tab, "flow-batch")
    page.locator(".failure .count a").first.click()
    page.wait_for_selector("#view .cell.bad")
    assert "code=" in page.url
    page.go_back()
    page.get_by_role("button", name=re.compile("^Retry")).click()
    assert f"{counts['failed']} lines" in page.inner_text("#ask-text")
    page.click("#ask-yes")
    page.wait_for_url(lambda url: batch not in url and "/batches/batch_" in url)
    assert tab.faults == []


def test_a_batch_is_composed_of_pictures_from_a_bucket(tab: Tab, http: httpx2.Client) -> None:
    page = tab.go("/new?job=job-shapes")
    page.click("[data-from=compose]")
    page.click('#shelf [data-at="s3://shapes/"]')
    page.click('#shelf [data-at="s3://shapes/drawn/"]')
    page.wait_for_selector("#shelf [data-pick]")
    shown(page, "#shelf .pick img")
    keep_picture(tab, "flow-picker")
    assert faults_of(tab) == []
    for number in (0, 1, 4):
        page.locator("#shelf [data-pick]").nth(number).click()
    page.locator("#shelf [data-pick]").nth(1).click()
    page.wait_for_selector("#taken:has-text('2 pictures taken')")
    page.click('#shelf [data-at="s3://shapes/drawn/0/"]')
    page.click("#shelf [data-below]")
    page.wait_for_selector("#taken:has-text('7 pictures taken')")
    page.fill("input[name=at]", "s3://shapes-eu/drawn/")
    page.click("[data-list]")
    page.wait_for_selector("#shelf .bad-text")
    assert "may read" in page.inner_text("#shelf .bad-text")
    page.fill("textarea[name=references]", "s3://shapes/drawn/0001.png s3://shapes/drawn/0002.png")
    page.fill("textarea[name=prompt]", "What is drawn here?")
    page.get_by_role("button", name="Put into a file").click()
    page.wait_for_selector("#file:has-text('is up')")
    page.click("#start")
    page.wait_for_url(re.compile(r"/batches/batch_"))
    page.wait_for_selector("#batch-now .status.completed", timeout=90_000)
    batch = page.url.rpartition("/")[2]
    known = http.get(f"/v1/batches/{batch}").json()
    assert known["request_counts"]["total"] == 8
    sent = http.get(f"/v1/files/{known['input_file_id']}/content").text.splitlines()
    urls = [
        [part["image_url"]["url"] for part in json.loads(line)["body"]["messages"][0]["content"][:-1]]
        for line in sent
    ]
    assert len(urls[0]) == 2
    assert all(len(one) == 1 and one[0].startswith("s3://shapes/drawn/") for one in urls[1:])
    assert any(" " in one[0] for one in urls[1:])
    assert tab.faults == []


def test_four_jobs_answer_one_prompt_at_once(tab: Tab, batch: str) -> None:
    page = tab.go(f"/playground?batch={batch}&line=3")
    boxes = page.locator("input[name=job]")
    assert boxes.count() == 4
    for number in range(4):
        boxes.nth(number).check()
    page.get_by_role("button", name="Ask").click()
    page.wait_for_function("() => document.querySelectorAll('.answers .panel').length === 4")
    page.wait_for_selector("#stop:disabled", timeout=60_000)
    texts = [text.strip() for text in page.locator(".answers .text").all_inner_texts()]
    feet = page.locator(".answers p").all_inner_texts()
    assert all(
        re.search(r"^[0-9.]+ s, first text after .* tokens in", foot) or "may read" in foot for foot in feet
    )
    assert sum(bool(text) for text in texts) >= 3
    assert faults_of(tab) == []
    keep_picture(tab, "flow-playground")


def test_a_picture_of_a_hundred_megapixels_is_looked_at_closely(
    tab: Tab, http: httpx2.Client, real: Real
) -> None:
    body = json.loads(real.lines(1))
    body["body"]["messages"] = [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": f"s3://shapes/{LARGE}"}},
                {"type": "text", "text": "What is this?"},
            ],
        }
    ]
    batch = run(http, json.dumps(body).encode() + b"\n", "large.jsonl")
    page = tab.go(f"/batches/{batch}/results?line=1&view=list")
    page.wait_for_selector("#panel [data-full]")
    page.locator("#panel [data-full]").click()
    shown(page, "#zoom img")
    width = "document.querySelector('#zoom img').naturalWidth"
    seen = "(() => { const box = document.querySelector('#zoom img').getBoundingClientRect(); return [Math.round(box.width), Math.round(box.height), Math.round(box.left), Math.round(box.top)]; })()"
    assert page.evaluate(width) == 2048
    fit = page.evaluate(seen)
    assert fit[1] == 860
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "size=" in request.url else None)
    page.mouse.move(640, 430)
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"() => {seen}[0] > {fit[0]} * 2")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("r")
    page.keyboard.press("0")
    page.wait_for_function(f"() => {seen}[1] === 860")
    page.keyboard.press("1")
    for _ in range(7):
        page.keyboard.press("+")
    page.wait_for_function(f"() => {width} > 8192", timeout=60_000)
    assert page.evaluate(width) == 10_000
    assert [url.rpartition("size=")[2] for url in asked] == ["4096", "8192", "whole"]
    keep_picture(tab, "flow-zoom")
    page.keyboard.press("Escape")
    page.wait_for_selector("#zoom:not([open])", state="attached")
    assert tab.faults == []


def test_a_phone_goes_from_the_list_to_a_picture_by_touch(browser: Any, real: Real, batch: str) -> None:
    tab = Tab(browser, real.url, phone=True)
    page = tab.go("/")
    found: list[str] = []
    page.locator(f"#row-{batch} a").tap()
    page.wait_for_selector("#batch-now")
    found += faults_of(tab)
    page.get_by_role("link", name="See the results").tap()
    page.locator("[data-view=grid]").tap()
    shown(page, "#view.grid .thumb img")
    found += faults_of(tab)
    page.locator("#view .cell").nth(2).tap()
    page.wait_for_selector("#panel .line")
    found += faults_of(tab)
    page.locator("#panel [data-step='1']").tap()
    page.wait_for_selector("#panel [data-line='4']")
    page.locator("#panel [data-full]").first.tap()
    shown(page, "#zoom img")
    before = page.locator("#zoom img").bounding_box()["width"]
    pinch = page.context.new_cdp_session(page)
    for kind, far in (("touchStart", 40), ("touchMove", 80), ("touchMove", 160), ("touchEnd", 0)):
        points = [{"x": 195 - far, "y": 420, "id": 0}, {"x": 195 + far, "y": 420, "id": 1}] if far else []
        pinch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_function(
        "(before) => document.querySelector('#zoom img').getBoundingClientRect().width > before * 2",
        arg=before,
    )
    page.locator("#zoom [data-zoom=close]").tap()
    page.locator("#panel [data-close]").tap()
    page.wait_for_selector("#panel", state="hidden")
    assert found + tab.faults == []
    tab.close()


def reach(page: Any, selector: str) -> None:
    """Press Tab until something has the focus; a person without a mouse has no other way."""
    for _ in range(80):
        if page.evaluate("(wanted) => Boolean(document.activeElement?.matches(wanted))", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by Tab")


def test_every_page_is_reached_without_a_mouse(tab: Tab, batch: str) -> None:
    page = tab.go("/?q=Drawn+shapes.jsonl")
    press = page.keyboard.press
    page.wait_for_selector(f"#row-{batch}")
    press("j")
    press("Enter")
    page.wait_for_url(f"**/batches/{batch}")
    reach(page, "a.primary")
    press("Enter")
    page.wait_for_selector("#view .cell")
    press("j")
    press("Enter")
    page.wait_for_selector("#panel .line")
    press("z")
    page.wait_for_selector("#zoom[open]")
    press("Escape")
    press("Escape")
    page.wait_for_selector("#panel", state="hidden")
    press("n")
    page.wait_for_selector("#view .cell.at.bad")
    for keys, path in ((("g", "p"), "/playground"), (("g", "o"), "/jobs"), (("g", "e"), "/engines"), (("g", "s"), "/settings"), (("g", "c"), "/new")):  # fmt: skip
        for one in keys:
            press(one)
        page.wait_for_url(f"**{path}")
    assert tab.faults == []


def test_a_batch_is_composed_and_made_again_without_a_mouse(tab: Tab, batch: str) -> None:
    page = tab.go(f"/new?job=job-shapes&after={batch}")
    press = page.keyboard.press
    reach(page, "[data-from=compose]")
    press("Enter")
    reach(page, "input[name=at]")
    page.keyboard.type("s3://shapes/drawn/0/")
    press("Enter")
    page.wait_for_selector("#shelf [data-pick]")
    reach(page, "#shelf [data-pick]")
    press("Space")
    page.wait_for_selector("#taken:has-text('1 picture taken')")
    reach(page, "textarea[name=prompt]")
    page.keyboard.type("What is drawn here?")
    reach(page, "#compose > button")
    press("Enter")
    page.wait_for_selector("#file:has-text('is up')")
    reach(page, "#check")
    press("Enter")
    page.wait_for_selector("#found:has-text('every line would reach the engine')")
    reach(page, "#start")
    press("Enter")
    page.wait_for_url(re.compile(r"/batches/batch_"))
    page.wait_for_selector("#batch-now .status.completed", timeout=60_000)
    reach(page, "#batch-actions form button")
    press("Enter")
    page.wait_for_selector("#ask[open]")
    press("Tab")
    press("Enter")
    page.wait_for_url(re.compile(r"/batches/batch_"))
    press("Control+k")
    page.keyboard.type("keys of the")
    press("Enter")
    page.wait_for_url("**/keys")
    press("g")
    press("b")
    page.wait_for_selector("#found")
    assert tab.faults == []


def test_the_list_of_keys_is_that_of_the_page_s_bindings(tab: Tab, batch: str) -> None:
    """Every key of the list does something on the page that lists it."""
    page = tab.go(f"/batches/{batch}/results?view=list")
    page.wait_for_selector("#view .cell")
    press = page.keyboard.press
    press("?")
    text = page.inner_text("#help .keys")
    for said in (
        "Search",
        "Next line",
        "Next failed line",
        "Last line",
        "Picture large",
        "Grid",
        "Mark the line",
    ):
        assert said in text
    press("Escape")
    at = "document.querySelector('.cell.at')?.dataset.line"
    for key, holds in (
        ("j", f"{at} === '1'"), ("ArrowDown", f"{at} === '2'"), ("k", f"{at} === '1'"), ("ArrowUp", f"{at} === '1'"),
        ("v", "document.querySelector('#view.grid')"), ("ArrowRight", f"{at} === '2'"), ("ArrowLeft", f"{at} === '1'"),
        ("+", "document.querySelector('#density input').value === '5'"), ("-", "document.querySelector('#density input').value === '6'"),
        ("l", "!document.querySelector('#view.grid')"), ("End", f"{at} === '240'"), ("Home", f"{at} === '1'"),
        ("Enter", "document.querySelector('#panel .line')"), ("1", "document.querySelector('.cell.at').dataset.mark === 'good'"),
        ("2", "document.querySelector('.cell.at').dataset.mark === 'bad'"), ("0", "!document.querySelector('.cell.at').dataset.mark"),
        ("z", "document.querySelector('#zoom').open"), ("Escape", "!document.querySelector('#zoom').open"),
        ("Escape", "document.querySelector('#panel').hidden"), ("n", "document.querySelector('.cell.at.bad')"),
        ("/", "document.activeElement.matches('[data-search]')"),
    ):  # fmt: skip
        press(key)
        page.wait_for_function(f"() => Boolean({holds})", timeout=10_000)
    assert tab.faults == []


def test_a_key_is_made_asked_for_used_and_revoked(browser: Any, tmp_path: Path) -> None:
    """On a server of its own: once there is a key, every page asks for one."""
    with console_server(tmp_path) as server:
        tab = Tab(browser, server.url)
        page = tab.go("/keys")
        page.fill("input[name=name]", "first")
        page.select_option("select[name=scope]", "admin")
        page.get_by_role("button", name="Make a key").click()
        key = page.inner_text(".notice code")
        assert key.startswith("pronk_")
        found = faults_of(tab)
        keep_picture(tab, "flow-key-made")
        page = tab.go("/jobs")
        assert "/login?next=%2Fjobs" in page.url
        found += faults_of(tab)
        page.fill("input[name=key]", "pronk_wrong")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_selector("[role=alert]")
        keep_picture(tab, "flow-login-refused")
        found += faults_of(tab)
        page.fill("input[name=key]", key)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/jobs")
        page = tab.go("/keys")
        assert key not in page.content()
        found += faults_of(tab)
        page.get_by_role("button", name="Revoke").click()
        assert "cannot be undone" in page.inner_text("#ask-text")
        page.click("#ask-yes")
        page.wait_for_url("**/login*")
        tab.close()
        assert found == []
