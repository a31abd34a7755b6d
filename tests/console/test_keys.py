"""Once there is a key, pages ask for one; each key sees its own project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.console.conftest import token_of
from tests.console.server import ConsoleServer, console_server


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[ConsoleServer, str]]:
    """A server with one key, made on its own page."""
    with (
        console_server(tmp_path) as server,
        httpx2.Client(base_url=server.url, headers={"accept": "text/html"}) as http,
    ):
        form = {"csrf": token_of(http), "name": "first", "scope": "admin"}
        page = http.post("/keys", headers={"origin": server.url}, data=form).text
        yield server, page.split("<code>pronk_")[1].split("<")[0]


def test_pages_ask_for_a_key_which_opens_them(locked: tuple[ConsoleServer, str]) -> None:
    server, secret = locked
    with httpx2.Client(base_url=server.url, headers={"accept": "text/html", "origin": server.url}) as http:
        asked = http.get("/jobs?x=1")
        assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=%2Fjobs%3Fx%3D1")
        for path in ("/", "/live/batches", "/keys", "/settings", "/palette", "/batches/batch_1/rows"):
            assert http.get(path).status_code == 303
            assert http.get(path, headers={"x-pronk": "1"}).status_code == 401
        form = http.get("/login?next=//evil.test").text
        assert 'name="next" value="/"' in form
        token = form.split('name="csrf" value="')[1].split('"')[0]
        wrong = http.post("/login", data={"csrf": token, "key": "pronk_wrong", "next": "/"})
        assert (wrong.status_code, "not known here" in wrong.text) == (401, True)
        right = http.post("/login", data={"csrf": token, "key": f"pronk_{secret}", "next": "/jobs"})
        assert (right.status_code, right.headers["location"]) == (303, "/jobs")
        cookie = next(text for text in right.headers.get_list("set-cookie") if text.startswith("pronk_key"))
        assert "httponly" in cookie.lower()
        assert "samesite=strict" in cookie.lower()
        assert http.get("/jobs").status_code == 200
        assert secret not in http.get("/keys").text
        http.post("/logout", data={"csrf": token})
        assert http.get("/jobs").status_code == 303


def test_tenants_are_told_to_make_jobs_only_where_they_may(tmp_path: Path) -> None:
    for is_allowed in (True, False):
        with (
            console_server(tmp_path / str(is_allowed), allow_project_jobs=is_allowed) as server,
            httpx2.Client(base_url=server.url, headers={"accept": "text/html"}) as http,
        ):
            assert "POST /v1/jobs" in http.get("/jobs").text
            form = {"csrf": token_of(http), "name": "first", "scope": "admin"}
            page = http.post("/keys", headers={"origin": server.url}, data=form).text
            headers = {"authorization": f"Bearer {page.split('<code>')[1].split('<')[0]}"}
            tenant = http.post("/v1/projects", headers=headers, json={"name": "tenant"}).json()["id"]
            wanted = {"name": "k", "scopes": ["write"], "project_id": tenant}
            made = http.post("/v1/keys", headers=headers, json=wanted).json()
            http.cookies.set("pronk_key", made["value"])
            assert ("POST /v1/jobs" in http.get("/jobs").text) == is_allowed
            answer = http.post(
                "/v1/jobs", headers={"authorization": f"Bearer {made['value']}"}, json={"model": "m"}
            )
            assert (answer.status_code == 200) == is_allowed
