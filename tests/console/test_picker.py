"""Pictures chosen from a bucket: what lies there, small, and only what the job may read."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
from tests.conformance.server import JOBS
from tests.console.conftest import token_of
from tests.console.hostile import PAYLOADS, Page
from tests.console.server import ConsoleServer, console_server

from pronk.cli.local import on_store
from pronk.console.picker import known_buckets
from pronk.domain.ids import DEFAULT_PROJECT, JobId
from pronk.domain.job import Job, MediaPolicy
from pronk.store.store import Store

DAYS = Job(
    id=JobId("job-days"), model="days", media=MediaPolicy(allow=("s3://shots/day/*", "https://x.test/*"))
)
KEYS = ("a.png", "b.txt", "day/1.png", "day/2 é&.png", "day/deep/3.JPG", "night/4.png")


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleServer]:
    jobs = {**JOBS, DAYS.id: DAYS}
    with console_server(tmp_path_factory.mktemp("picker"), jobs=jobs) as running:
        running.new_bucket("shots", *KEYS)
        running.new_bucket("secret", "plan.png")
        yield running


@pytest.fixture(scope="module")
def http(shots: ConsoleServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(
        base_url=shots.url, timeout=30, headers={"accept": "text/html", "x-pronk": "1"}
    ) as client:
        yield client


def level(http: httpx2.Client, at: str, **more: str) -> httpx2.Response:
    return http.get("/new/level", params={"at": at, "job": "job-default", **more})


def picked(answer: httpx2.Response) -> list[str]:
    return [part.split('"')[0] for part in answer.text.split('data-pick="')[1:]]


def test_a_bucket_is_walked_folder_by_folder(http: httpx2.Client) -> None:
    page = level(http, "s3://shots")
    assert picked(page) == ["s3://shots/a.png"]
    for folder in ("day", "night"):
        assert f'data-at="s3://shots/{folder}/"' in page.text
    assert "b.txt" in page.text
    page = level(http, "s3://shots/day/")
    assert picked(page) == ["s3://shots/day/1.png", "s3://shots/day/2 é&amp;.png"]
    assert 'data-at="s3://shots/"' in page.text
    assert "Nothing lies here" in level(http, "s3://shots/none/").text


def test_everything_below_a_folder_is_found_and_what_is_no_picture_counted(http: httpx2.Client) -> None:
    found = http.get("/new/keys", params={"at": "s3://shots/", "job": "job-default"}).json()
    assert found["references"] == [f"s3://shots/{key}" for key in KEYS if not key.endswith("txt")]
    assert (found["left_out"], found["after"], found["most"]) == (1, None, 50_000)
    rest = http.get("/new/keys", params={"at": "s3://shots/", "job": "job-default", "after": "day/2 é&.png"})
    assert rest.json()["references"] == ["s3://shots/day/deep/3.JPG", "s3://shots/night/4.png"]


def test_a_job_s_list_holds_for_listings_and_thumbnails(http: httpx2.Client, shots: ConsoleServer) -> None:
    page = level(http, "s3://shots/", job="job-days")
    assert picked(page) == []
    assert "s3://shots/day/" in page.text
    assert "night" not in page.text
    assert "a.png" not in page.text
    assert len(picked(level(http, "s3://shots/day/", job="", model="days"))) == 2
    before = shots.aws.count("ListObjectsV2") + shots.aws.count("GetObject")
    for at in (
        "s3://secret/",
        "s3://shots/night/",
        "s3://shots/day/../night/",
        "https://x.test/",
        "file:///etc/",
    ):
        for path in ("level", "keys"):
            answer = http.get(f"/new/{path}", params={"at": at, "job": "job-days"})
            assert answer.status_code == 400, at
            assert answer.json()["error"]["message"]
    for at in (
        "s3://secret/plan.png",
        "s3://shots/a.png",
        "https://x.test/a.png",
        "data:image/png;base64,AA",
        "",
    ):
        assert http.get("/new/thumb", params={"at": at, "job": "job-days"}).status_code == 400, at
    assert shots.aws.count("ListObjectsV2") + shots.aws.count("GetObject") == before
    kept = http.get("/new/keys", params={"at": "s3://shots/", "job": "job-days"}).json()
    assert kept["references"] == [
        "s3://shots/day/1.png",
        "s3://shots/day/2 é&.png",
        "s3://shots/day/deep/3.JPG",
    ]


def test_thumbnails_are_small_pictures_and_nothing_else(http: httpx2.Client, shots: ConsoleServer) -> None:
    answer = http.get("/new/thumb", params={"at": "s3://shots/day/2 é&.png", "job": "job-days"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    shots.new_bucket("odd", "svg.png", body=b'<svg xmlns="http://www.w3.org/2000/svg" onload="boom()"/>')
    shots.aws.buckets["odd"].put("page.png", b"<html><script>boom()</script>")
    for key in ("svg.png", "page.png", "none.png"):
        answer = http.get("/new/thumb", params={"at": f"s3://odd/{key}", "job": "job-default"})
        assert answer.status_code == 400, key
        assert "json" in answer.headers["content-type"]


def test_buckets_that_are_known_are_offered(http: httpx2.Client) -> None:
    page = level(http, "", job="job-days").text
    assert 'data-at="s3://shots/day/"' in page
    assert "https:" not in page
    assert "may read any bucket" in level(http, "").text


@pytest.mark.parametrize(
    ("glob", "place"),
    [("s3://a", "s3://a/"), ("s3://a/*", "s3://a/"), ("s3://a/b/c*.png", "s3://a/b/"), ("s3://a*", None), ("*", None), ("https://a/", None)],
)  # fmt: skip
def test_a_list_s_beginning_is_where_one_starts(glob: str, place: str | None, shots: ConsoleServer) -> None:
    del shots
    job = Job(id=JobId("job-1"), media=MediaPolicy(allow=(glob,)))
    assert known_buckets(job, None) == ([place] if place else [])  # type: ignore[arg-type]  # nothing of it is asked


def test_names_of_objects_stay_text(http: httpx2.Client, shots: ConsoleServer) -> None:
    names = [text.replace("\\", "").replace("//", "/").replace("/../", "") for text in PAYLOADS]
    shots.new_bucket("hostile", *(f"{name}/x.png" for name in names), *(f"x{name}.png" for name in names))
    after = ""
    for _ in range(5):
        page = level(http, "s3://hostile/", after=after)
        assert page.status_code == 200
        assert Page(page.text).faults == []
        if "data-after" not in page.text:
            break
        after = html.unescape(page.text.split('data-after="')[1].split('"')[0])
    assert Page(level(http, f"s3://hostile/{names[0]}/").text).faults == []


def test_who_may_only_read_lists_nothing(tmp_path: Path) -> None:
    with (
        console_server(tmp_path) as server,
        httpx2.Client(base_url=server.url, headers={"accept": "text/html", "origin": server.url}) as http,
    ):
        server.new_bucket("shots", *KEYS)
        form = {"csrf": token_of(http), "name": "first", "scope": "admin"}
        admin = http.post("/keys", data=form).text.split("<code>")[1].split("<")[0]
        headers = {"authorization": f"Bearer {admin}"}
        made = http.post("/v1/keys", headers=headers, json={"name": "r", "scopes": ["read"]}).json()
        assert http.get("/new/level?at=s3://shots/").status_code == 303
        http.cookies.set("pronk_key", made["value"] if "value" in made else made["key"])
        for path in ("level?at=", "keys?at=", "thumb?at="):
            answer = http.get(f"/new/{path}{quote('s3://shots/a.png')}", headers={"x-pronk": "1"})
            assert answer.status_code == 403, path


def test_a_projects_bounds_hold_here_too(http: httpx2.Client, shots: ConsoleServer) -> None:
    def bound(*globs: str) -> None:
        async def work(store: Store) -> None:
            await store.projects.bound(DEFAULT_PROJECT, globs or None)

        on_store(shots.settings, work)

    bound("s3://shots/day/*", "s3://shots/night/*")
    try:
        assert 'data-at="s3://shots/night/"' in level(http, "").text
        assert 'data-at="s3://shots/night/"' not in http.get("/new/level", params={"job": "job-days"}).text
        page = level(http, "s3://shots/")
        assert (picked(page), "b.txt" in page.text) == ([], False)
        assert level(http, "s3://secret/").status_code == 400
        thumb = {"job": "job-default", "at": "s3://shots/a.png"}
        assert http.get("/new/thumb", params=thumb).status_code == 400
        assert http.get("/new/thumb", params={**thumb, "at": "s3://shots/night/4.png"}).status_code == 200
    finally:
        bound()
