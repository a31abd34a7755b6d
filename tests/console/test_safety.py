"""Hostile texts stay text; forms, frames and addresses of others get nowhere."""

from __future__ import annotations

import re
from importlib.resources import files

import httpx2
import pytest
from tests.console.conftest import token_of
from tests.console.hostile import PAYLOADS, Page
from tests.console.server import ConsoleServer

from pronk.console.origin import local_path

PAGES = (
    "/", "/?q=<script>boom()</script>&status=%22%3E", "/batches/{id}", "/batches/{id}/results",
    "/batches/{id}/results?q=<script>boom()</script>&code=<b>&field.%3Cb%3E=1&x=<img onerror=boom()>",
    "/batches/{id}/results?by=custom_id", "/batches/{id}/results?filter=prompt~%22%3Cscript%3Eboom()%3C/script%3E%22&by=field.a",
    "/batches/{id}/columns", "/batches/{id}/groups?by=custom_id", "/batches/{id}/groups?by=field.a", "/batches/{id}/rows?n=120&as=table",
    "/batches/{id}/lines/1/alike", "/batches/{id}/lines/1/resembling", "/batches/{id}/bulk?filter=prompt~%22%3Cb%3E%22",
    "/batches/{id}/rows?n=120", "/batches/{id}/rows?n=120&q=boom", "/batches/{id}/facets", "/batches/{id}/apart",
    "/compare?left={id}&right={id}", "/compare?left={id}&right={id}&kind=same", "/new?job=<script>",
    "/playground?batch={id}&line=1", "/jobs", "/engines", "/settings", "/errors", "/errors/image_not_found", "/keys",
    "/login?next=<script>", "/nothing/<script>boom()</script>", "/errors/<script>", "/batches/<script>",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_no_text_of_others_becomes_markup(http: httpx2.Client, hostile: str, path: str) -> None:
    answer = http.get(path.replace("{id}", hostile))
    assert answer.status_code in {200, 404}
    assert Page(answer.text).faults == []


def test_no_line_becomes_markup_and_numbers_stay_exact(http: httpx2.Client, hostile: str) -> None:
    assert len(PAYLOADS) >= 60
    for number in range(1, 3 * len(PAYLOADS) + 1):
        answer = http.get(f"/batches/{hostile}/lines/{number}")
        assert answer.status_code == 200
        assert Page(answer.text).faults == []
    last = http.get(f"/batches/{hostile}/lines/{3 * len(PAYLOADS) - 2}").text
    assert "123456789012345678" in last
    assert "1.0" in last


def test_a_hostile_filter_that_cannot_be_read_stays_text(http: httpx2.Client, hostile: str) -> None:
    for text in PAYLOADS:
        answer = http.get(f"/batches/{hostile}/results", params={"filter": f"colour:{text}", "by": text})
        assert answer.status_code == 400
        assert Page(answer.text).faults == []


@pytest.mark.parametrize(
    "path", ["/", "/batches/{id}/results", "/errors/image_invalid", "/nothing", "/login", "/live/none"]
)
def test_every_page_has_a_strict_policy(http: httpx2.Client, hostile: str, path: str) -> None:
    headers = http.get(path.replace("{id}", hostile)).headers
    policy = headers["content-security-policy"]
    for part in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ):
        assert part in policy
    assert "unsafe" not in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_forms_of_others_change_nothing(http: httpx2.Client, server: ConsoleServer, hostile: str) -> None:
    token = token_of(http)
    before = len(http.get("/v1/batches").json()["data"])
    for headers, data in (
        ({}, {"csrf": token}),
        ({"origin": "https://evil.test"}, {"csrf": token}),
        ({"origin": "null"}, {"csrf": token}),
        ({"origin": server.url.replace("127.0.0.1", "localhost")}, {"csrf": token}),
        ({"sec-fetch-site": "same-site"}, {"csrf": token}),
        ({"origin": server.url}, {}),
        ({"origin": server.url}, {"csrf": "x" * 36}),
        ({"origin": server.url}, {"csrf": ""}),
    ):
        answer = http.post(f"/batches/{hostile}/clone", headers=headers, data=data)
        assert answer.status_code == 403, headers
    assert len(http.get("/v1/batches").json()["data"]) == before
    good = http.post(f"/batches/{hostile}/cancel", headers={"origin": server.url}, data={"csrf": token})
    assert good.status_code == 409


def test_a_token_of_another_browser_is_refused(
    http: httpx2.Client, server: ConsoleServer, hostile: str
) -> None:
    with httpx2.Client(base_url=server.url) as other:
        answer = other.post(
            f"/batches/{hostile}/cancel", headers={"origin": server.url}, data={"csrf": token_of(http)}
        )
    assert answer.status_code == 403


def test_cookies_are_for_our_pages_only(server: ConsoleServer) -> None:
    with httpx2.Client(base_url=server.url) as fresh:
        cookie = fresh.get("/", headers={"accept": "text/html"}).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_foreign_names_and_pages_are_answered_nothing(http: httpx2.Client) -> None:
    for headers in (
        {"host": "evil.test"},
        {"host": "evil.test:80"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "https://evil.test"},
    ):
        answer = http.get("/", headers=headers)
        assert answer.status_code in {400, 403}
        assert 'id="found"' not in answer.text


@pytest.mark.parametrize(
    "text",
    ["//evil.test", "https://evil.test", "/\\evil.test", "\\\\evil.test", "javascript:x", "/ok\r\nset-cookie: a=b", "", None, "evil", "/\t/evil.test"],
)  # fmt: skip
def test_nobody_is_led_on_to_another_site(text: str | None) -> None:
    assert local_path(text) == "/"
    assert local_path("/batches/x?line=3") == "/batches/x?line=3"


def test_pictures_are_small_typed_and_sandboxed(http: httpx2.Client, hostile: str) -> None:
    for form in ("thumb", "full", "full?size=whole"):
        answer = http.get(f"/batches/{hostile}/lines/1/pictures/0/{form}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] in {"image/png", "image/webp", "image/jpeg"}
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert len(http.get(f"/batches/{hostile}/lines/1/pictures/0/thumb").content) <= 15_000
    assert http.get(f"/batches/{hostile}/lines/1/pictures/9/thumb").status_code == 404
    assert http.get(f"/batches/{hostile}/lines/99999/pictures/0/thumb").status_code == 404


def test_assets_are_kept_for_ever_and_packed(http: httpx2.Client) -> None:
    page = http.get("/").text
    names = {part.split('"')[0] for part in page.split('"/assets/')[1:]}
    assert len(names) >= 6
    size, scripts = len(page.encode()), 0
    for name in names:
        with http.stream("GET", f"/assets/{name}") as answer:
            sent = len(b"".join(answer.iter_raw()))
            size += sent
            scripts += sent if name.endswith(".js") else 0
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["content-encoding"] == "gzip"
    assert size <= 150_000
    assert scripts <= 60_000
    assert http.get("/assets/../desk.py").status_code == 404
    assert http.get("/assets/app.css").status_code == 404


@pytest.mark.parametrize(
    "path", ["/batches/{id}", "/batches/{id}/results", "/new", "/playground", "/compare"]
)
def test_no_page_s_scripts_outgrow_a_phone_s_patience(http: httpx2.Client, hostile: str, path: str) -> None:
    page = http.get(path.replace("{id}", hostile)).text
    names = {part.split('"')[0] for part in page.split('src="/assets/')[1:]}
    scripts = sum(len(gzipped(http, name)) for name in names)
    assert 0 < scripts <= 60_000


def gzipped(http: httpx2.Client, name: str) -> bytes:
    with http.stream("GET", f"/assets/{name}") as answer:
        return b"".join(answer.iter_raw())


_NAMES = {"http://www.w3.org/2000/svg", "https://github.com/leeoniya/u"}
"""What stands in our files and is not loaded: the name of XML's vocabulary, and an author's page in a comment."""


def test_nothing_of_ours_names_another_origin(http: httpx2.Client) -> None:
    """Scripts and styles load nothing, whatever a browser would let them: no address in them has a host, but names of XML."""
    found = []
    for path in (files("pronk.console") / "static").rglob("*"):  # type: ignore[attr-defined]
        if path.suffix in {".js", ".css", ".svg"}:
            text = path.read_text()
            found += [
                (path.name, url)
                for url in re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z0-9./-]+", text)
                if url not in _NAMES
            ]
            assert "@import" not in text
            assert "eval(" not in text
    assert found == []


def test_an_answer_that_streams_is_passed_on_as_an_event_stream_only(
    http: httpx2.Client, server: ConsoleServer
) -> None:
    """What an engine says can be HTML as a whole; a browser that is led to it must not show it as a page."""
    headers = {"origin": server.url, "x-csrf-token": token_of(http), "x-pronk": "1"}
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": PAYLOADS[0]}]}
    answer = http.post("/playground/run/job-default", headers=headers, json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_downloads_are_never_shown_as_pages(http: httpx2.Client, hostile: str) -> None:
    for what in ("input", "output", "errors"):
        answer = http.get(f"/batches/{hostile}/download/{what}")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "html" not in answer.headers["content-type"]
    for form in ("csv", "jsonl", "input", "parquet"):
        answer = http.get(f"/batches/{hostile}/export?as={form}")
        assert answer.headers["content-disposition"].startswith("attachment"), form
        assert "html" not in answer.headers["content-type"], form
