"""Pages that change while somebody reads them: right without being asked, silent in the background, and never in the way."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from tests.console.browser import Tab, needs_browser
from tests.console.conftest import wait_for
from tests.console.server import CHAT, ConsoleServer, as_file, console_server, line

pytestmark = needs_browser
HIDE = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleServer]:
    with console_server(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture(scope="module")
def http(live: ConsoleServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=live.url, timeout=30, headers={"accept": "text/html"}) as client:
        yield client


@pytest.fixture
def tab(browser: Any, live: ConsoleServer) -> Iterator[Tab]:
    opened = Tab(browser, live.url)
    yield opened
    opened.close()


def start(live: ConsoleServer, lines: list[dict[str, Any]], name: str = "held.jsonl") -> str:
    with OpenAI(base_url=f"{live.url}/v1", api_key="unused", max_retries=0) as client:
        file = client.files.create(file=(name, as_file(lines)), purpose="batch")
        made = client.batches.create(
            input_file_id=file.id,
            endpoint=CHAT,
            completion_window="unlimited",  # type: ignore[arg-type]
        )
    return made.id


def held(live: ConsoleServer, http: httpx2.Client, count: int = 5, failing: int = 0) -> str:
    """Start a batch that the engine holds; return its id once it is."""
    lines = [line(number, "hi", picture=False, model="hold") for number in range(count)]
    lines += [line(count + n, "hi", picture=False, model="status-400") for n in range(failing)]
    batch = start(live, lines)
    wait_for(lambda: len(live.engine.held) == count)
    wait_for(lambda: http.get(f"/v1/batches/{batch}").json()["status"] == "in_progress")
    return batch


def note(text: str) -> None:
    """Say a figure to whoever runs the test with -s."""
    sys.stdout.write(f"\n{text}\n")


def listen(tab: Tab) -> list[str]:
    """Return a list that gets the address of every request from now on."""
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    return asked


def first_event(page: Any) -> None:
    """Wait until the page has got its pieces once."""
    page.wait_for_selector("#totals[data-was], #batch-now[data-was]")


def test_a_state_change_shows_by_itself_and_asks_for_nothing(
    tab: Tab, live: ConsoleServer, http: httpx2.Client
) -> None:
    batch = held(live, http)
    page = tab.go("/")
    first_event(page)
    page.wait_for_selector(f"#row-{batch} .status.in_progress")
    asked = listen(tab)
    live.release()
    page.wait_for_selector(f"#row-{batch} .status.completed")
    assert page.inner_text(f"#row-{batch} .done").strip() == "5 of 5"
    assert asked == []
    assert tab.faults == []


def test_a_batch_s_page_is_right_when_it_ends_buttons_and_causes_too(
    tab: Tab, live: ConsoleServer, http: httpx2.Client
) -> None:
    batch = held(live, http, failing=4)
    page = tab.go(f"/batches/{batch}")
    first_event(page)
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("#ask[open]")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Clone").focus()
    live.release()
    page.wait_for_selector("#batch-now .status.completed")
    page.wait_for_selector("#batch-actions button:has-text('Retry 4 failed')")
    assert page.evaluate("document.activeElement.textContent") == "Clone"
    page.wait_for_selector(".failure .code")
    page.wait_for_selector("#apart h2")
    assert page.get_by_role("button", name="Cancel").count() == 0
    assert tab.faults == []


def test_what_is_finished_is_shown_while_the_rest_still_runs(
    live: ConsoleServer, http: httpx2.Client
) -> None:
    batch = held(live, http, count=1, failing=1)
    wait_for(lambda: http.get(f"/batches/{batch}/rows?n=9&state=failed").text.count("data-line=") == 1)
    assert http.get(f"/v1/batches/{batch}").json()["status"] == "in_progress"
    live.release()


@pytest.mark.console
def test_a_line_is_on_the_page_three_seconds_after_it_is_journalled(
    tab: Tab, live: ConsoleServer, http: httpx2.Client
) -> None:
    batch = start(
        live, [line(n, "hi", picture=False, model="delay-4" if n == 4 else "hold") for n in range(1, 5)]
    )
    wait_for(lambda: len(live.engine.held) == 3)
    page = tab.go(f"/batches/{batch}/results?view=list&state=ok")
    page.wait_for_load_state("load")
    assert page.locator('#view [data-line="4"]').count() == 0
    wait_for(lambda: http.get(f"/v1/batches/{batch}").json()["request_counts"]["completed"] == 1)
    journalled_at = time.monotonic()
    page.wait_for_selector('#view [data-line="4"]')
    took = time.monotonic() - journalled_at
    live.release()
    note(f"on the page after {took:.1f} s")
    assert took <= 3


def test_a_question_is_answered_although_the_page_changes_meanwhile(
    tab: Tab, live: ConsoleServer, http: httpx2.Client
) -> None:
    batch = held(live, http)
    page = tab.go(f"/batches/{batch}")
    first_event(page)
    page.get_by_role("button", name="Clone").click()
    live.release()
    page.wait_for_selector("#batch-now .status.completed")
    page.click("#ask-yes")
    page.wait_for_url(lambda url: batch not in url)
    assert tab.faults == []
    wait_for(lambda: len(live.engine.held) == 5)
    live.release()


def test_a_hidden_tab_asks_nothing_for_a_minute_and_is_right_on_return(
    tab: Tab, live: ConsoleServer, http: httpx2.Client
) -> None:
    batch = held(live, http)
    tab.page.clock.install()
    page = tab.go("/")
    first_event(page)
    page.evaluate(HIDE % "true")
    asked = listen(tab)
    live.release()
    wait_for(lambda: http.get(f"/v1/batches/{batch}").json()["status"] == "completed")
    page.clock.run_for(60_000)
    assert asked == []
    assert page.locator(f"#row-{batch} .status.in_progress").count() == 1
    page.evaluate(HIDE % "false")
    page.wait_for_selector(f"#row-{batch} .status.completed")
    assert [url.removeprefix(live.url).partition("?")[0] for url in asked] == ["/live/batches"]


def events(pieces: list[dict[str, str]]) -> str:
    return "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces)


def play(tab: Tab, path: str, pieces: list[dict[str, str]]) -> None:
    """Answer the first request of a page's live pieces with these, and let the others wait."""
    told = iter([events(pieces)])

    def answer(route: Any) -> None:
        body = next(told, None)
        if body is None:
            route.abort()
        else:
            route.fulfill(status=200, content_type="text/event-stream", body=body)

    tab.page.route(f"**{path}*", answer)


def test_a_thousand_updates_move_neither_the_list_nor_the_row_one_is_at(
    tab: Tab, live: ConsoleServer, http: httpx2.Client
) -> None:
    batches = [start(live, [line(0, "hi", picture=False)], f"in {n}.jsonl") for n in range(40)]
    wait_for(lambda: http.get("/").text.count("status completed") >= 40)
    page = tab.go("/")
    rows = {f"row-{one}": markup(page, f"row-{one}") for one in batches}
    updates = [
        {
            name: html.replace("1 of 1", f"{number} of 9999")
            for name, html in list(rows.items())[number % 7 :: 7]
        }
        for number in range(1, 1001)
    ]
    updates[-1]["totals"] = markup(page, "totals").replace("</dl>", '<span hidden id="over"></span></dl>')
    play(tab, "/live/batches", updates)
    page.evaluate(HIDE % "true")
    for _ in range(25):
        page.keyboard.press("j")
    before = place(page)
    assert before["top"] > 300
    page.evaluate(HIDE % "false")
    page.wait_for_selector("#over", state="attached")
    assert page.locator(".list .done:has-text('of 9999')").count() == 40
    assert {**place(page), "text": ""} == {**before, "text": ""}
    assert tab.faults == []


def markup(page: Any, name: str) -> str:
    """Return a piece of the page as the server sends it."""
    return str(
        page.locator(f"#{name}").evaluate(
            "e => { const copy = e.cloneNode(true); copy.removeAttribute('data-was'); return copy.outerHTML; }"
        )
    )


def place(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(
        "() => ({ top: Math.round(scrollY), at: document.querySelector('.at').id, focus: document.activeElement.href,"
        " text: document.querySelector('.at').innerText, row: Math.round(document.querySelector('.at').getBoundingClientRect().top - document.querySelector('#found').getBoundingClientRect().top) })"
    )
    return found


def test_a_thousand_updates_leave_what_is_open_and_written_on_a_batch_s_page(
    tab: Tab, live: ConsoleServer, http: httpx2.Client
) -> None:
    batch = held(live, http, failing=3)
    wait_for(lambda: http.get(f"/batches/{batch}").text.count('class="sample"') == 3)
    page = tab.go(f"/batches/{batch}")
    first_event(page)
    now = page.locator("#batch-now").evaluate("e => e.outerHTML")
    failures = page.locator("#batch-failures").evaluate("e => e.outerHTML")
    updates = [
        {
            "batch-now": now.replace("of 8 requests", f"of 8 requests, look {number}"),
            "batch-failures": failures,
        }
        for number in range(1, 1001)
    ]
    play(tab, f"/batches/{batch}/live", updates)
    page.evaluate(HIDE % "true")
    page.set_viewport_size({"width": 1280, "height": 400})
    page.locator(".menu summary", has_text="Copy as").click()
    page.locator(".sample").nth(2).focus()
    page.evaluate("scrollTo(0, 200)")
    before = page.evaluate("[scrollY, document.activeElement.href]")
    page.evaluate(HIDE % "false")
    page.wait_for_selector("#batch-now:has-text('look 1000')")
    assert page.evaluate("[scrollY, document.activeElement.href]") == before
    assert page.locator("#batch-actions details[open]").count() == 1
    live.release()
    assert tab.faults == []


@pytest.mark.console
def test_changes_are_on_screen_within_two_seconds(tab: Tab, live: ConsoleServer, http: httpx2.Client) -> None:
    """Judged by the clock, so not among the everyday tests: from the API's word to the screen, and from return to right."""
    slowest = 0.0
    for _ in range(3):
        batch = held(live, http)
        page = tab.go("/")
        first_event(page)
        live.release()
        wait_for(lambda one=batch: http.get(f"/v1/batches/{one}").json()["status"] == "completed")
        began = time.monotonic()
        page.wait_for_selector(f"#row-{batch} .status.completed")
        slowest = max(slowest, time.monotonic() - began)
    assert slowest <= 2
    batch = held(live, http)
    page = tab.go("/")
    first_event(page)
    page.evaluate(HIDE % "true")
    asked = listen(tab)
    live.release()
    page.wait_for_timeout(60_000)
    assert asked == []
    began = time.monotonic()
    page.evaluate(HIDE % "false")
    page.wait_for_selector(f"#row-{batch} .status.completed")
    back = time.monotonic() - began
    assert back <= 2
    page.wait_for_timeout(20_000)
    assert len(asked) == 1
    note(f"a change on screen after {slowest:.2f} s at most, after a return {back:.2f} s")


@pytest.mark.console
def test_the_time_left_is_within_a_fifth_on_a_steady_engine(browser: Any, tmp_path: Path) -> None:
    """Sixty-four answers a second: after a twentieth of the lines the page's word is compared with what came true."""
    total = 4800
    with console_server(tmp_path) as server, httpx2.Client(base_url=server.url, timeout=30) as http:
        batch = start(server, [line(n, "hi", picture=False, model="delay-0.5") for n in range(total)])
        said: list[tuple[float, float, float]] = []
        tab = Tab(browser, server.url)
        page = tab.go(f"/batches/{batch}")
        while http.get(f"/v1/batches/{batch}").json()["status"] != "finalizing":
            tile = page.locator("#batch-now .tile:has(dt:text-is('Left')) dd")
            done = page.locator("#batch-now b").first
            if tile.count() and tile.inner_text().endswith(" s"):
                words = tile.inner_text().replace("min", "").replace(" s", "").split()
                left = float(words[-1]) + (60 * float(words[0]) if len(words) > 1 else 0)
                said.append((time.monotonic(), left, float(done.inner_text().replace("\u202f", ""))))
            if http.get(f"/v1/batches/{batch}").json()["status"] == "completed":
                break
            page.wait_for_timeout(300)
        ended = time.monotonic()
        tab.close()
    judged = [(ended - at, left) for at, left, done in said if 0.05 * total <= done <= 0.9 * total]
    worst = max(abs(left - true) / true for true, left in judged)
    note(f"{len(judged)} words on the time left, the worst off by {worst:.0%}")
    assert len(judged) > 20
    assert worst <= 0.2
