"""What one project sees of another, and what is seen without a key: every route of the description."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import httpx2
import pytest
import structlog
from tests.conformance.conftest import CHAT, lines
from tests.conformance.server import running_server
from tests.conformance.tenants import Tenants, make_key, make_project, own_things

log = structlog.get_logger()

FOREIGN_ROUTES = {
    "file_id": "file", "batch_id": "batch", "upload_id": "upload", "job_id": "job", "key_id": "key", "project_id": "project",
    "webhook_id": "webhook", "delivery_id": "delivery", "model": "model",
}  # fmt: skip
OPEN = {("get", "/health"), ("get", "/ready"), ("get", "/metrics")}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/uploads/{upload_id}/complete": {"part_ids": ["part_1"]},
    "/v1/projects/{project_id}": {"name": "mine now"},
    "/v1/jobs/{job_id}": {"use_case": "mine now"},
}


def routes(tenants: Tenants) -> list[tuple[str, str]]:
    with tenants.http(tenants.mine) as http:
        paths = http.get("/openapi.json").json()["paths"]
    return [(method, path) for path, item in paths.items() for method in item if (method, path) not in OPEN]


def unknown(identifier: str) -> str:
    """An id of the same kind and length that never existed."""
    return identifier[:-5] + "zzzzz"


def told(answer: httpx2.Response, *names: str) -> tuple[int, str, list[tuple[str, str]]]:
    """What an answer says, without the names that were asked for and what differs every time."""
    text = answer.text
    for name in names:
        text = text.replace(name, "ID")
    left_out = {"date", "x-request-id", "content-length"}
    headers = sorted((key, value) for key, value in answer.headers.items() if key not in left_out)
    return answer.status_code, text, headers


def test_what_belongs_to_another_project_does_not_exist(tenants: Tenants) -> None:
    """Every route of the API's own description with a name in its path: status, body and headers as for what never was."""
    things = own_things(tenants)
    asked = 0
    with tenants.http(tenants.foreign) as http:
        for method, path in routes(tenants):
            names = [name for name in FOREIGN_ROUTES if f"{{{name}}}" in path]
            if not names:
                continue
            name = names[0]
            if name not in things:
                continue
            body: dict[str, Any] = {"json": BODIES.get(path, {})} if method in {"post", "patch"} else {}
            if path.endswith("/parts"):
                body = {"files": {"data": ("x", b"x")}}
            real, none = (
                http.request(method.upper(), path.replace(f"{{{name}}}", value), **body)
                for value in (things[name], unknown(things[name]))
            )
            assert told(real, things[name]) == told(none, unknown(things[name])), (method, path)
            expected = 403 if (method, path) == ("patch", "/v1/projects/{project_id}") else 404
            assert real.status_code == expected, (method, path, real.text)
            asked += 1
    assert asked >= 20
    with tenants.http(tenants.mine) as http:
        for name, path in (("file_id", "files"), ("batch_id", "batches"), ("job_id", "jobs")):
            assert http.get(f"/v1/{path}/{things[name]}").status_code == 200


def test_nothing_of_another_project_is_named_in_a_body_or_a_list(tenants: Tenants) -> None:
    things = own_things(tenants)
    own = {
        things["file_id"],
        things["batch_id"],
        things["upload_id"],
        things["job_id"],
        things["key_id"],
        "only-alpha",
    }
    create = {"input_file_id": things["file_id"], "endpoint": CHAT, "completion_window": "24h"}
    with tenants.http(tenants.foreign) as http:
        for method, path in routes(tenants):
            if method == "get" and "{" not in path:
                page = http.get(path)
                assert page.status_code == 200, path
                assert not [name for name in {*own, tenants.alpha, "alpha"} if f'"{name}"' in page.text], path
        missing = http.post("/v1/batches", json={**create, "input_file_id": unknown(things["file_id"])})
        assert told(http.post("/v1/batches", json=create), things["file_id"]) == told(
            missing, unknown(things["file_id"])
        )
        check = {"input_file_id": things["file_id"], "endpoint": CHAT}
        assert http.post("/v1/batches/check", json=check).status_code == 404
        hidden = [http.get(f"/v1/jobs/{job_id}") for job_id in ("job-of-beta", "job-of-beto")]
        assert told(hidden[0], "job-of-beta") == told(hidden[1], "job-of-beto")
        assert http.post("/v1/jobs", json={"id": "job-of-beta"}).status_code == 200
        asked = http.post("/v1/keys", json={"name": "x", "project_id": tenants.alpha})
        absent = http.post("/v1/keys", json={"name": "x", "project_id": unknown(tenants.alpha)})
        assert told(asked, tenants.alpha) == told(absent, unknown(tenants.alpha))
        now = http.post(CHAT, json={"model": "only-alpha", "messages": []})
        assert now.status_code in {200, 404}
        same_id = http.post("/v1/jobs", json={"id": things["job_id"]})
        assert same_id.status_code == 200


def test_a_key_of_an_idempotent_create_is_a_projects_own(tenants: Tenants) -> None:
    made = []
    for key in (tenants.mine, tenants.foreign):
        with tenants.http(key) as http:
            form: dict[str, Any] = {"files": {"file": ("a.jsonl", lines(1))}, "data": {"purpose": "batch"}}
            file_id = http.post("/v1/files", **form).json()["id"]
            body = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h"}
            made.append(http.post("/v1/batches", json=body, headers={"idempotency-key": "same"}).json()["id"])
    assert made[0] != made[1]


def test_every_route_refuses_keys_that_open_nothing_and_scopes_that_do_not_reach(tenants: Tenants) -> None:
    """Every route of the description, with no key, one that is revoked, expired, unknown, reading only; before the body is looked at."""
    found = routes(tenants)
    keys = {"missing": None, "revoked": tenants.revoked, "expired": tenants.expired, "reader": tenants.reader}
    assert len(found) >= 36
    for method, path in found:
        concrete = path.replace("{", "").replace("}", "")
        content = b"{" if method != "get" else None
        seen = {
            kind: told(
                tenants.one.request(method.upper(), concrete, content=content, headers=tenants.showing(key))
            )
            for kind, key in keys.items()
        }
        assert [seen[kind][0] for kind in ("missing", "revoked", "expired")] == [401] * 3, (method, path)
        assert seen["revoked"] == seen["expired"]
        is_admins = any(word in path for word in ("/keys", "/projects", "/audit"))
        assert (seen["reader"][0] == 403) is (method != "get" or is_admins), (method, path, seen["reader"])


def test_paths_that_are_nearly_routes_do_not_open(tenants: Tenants) -> None:
    """Whether a key is asked for hangs on the route, not on how its path is written."""
    with tenants.http(None) as http:
        for path in (
            "/v1/files/", "//v1/files", "/v1//files", "/V1/files", "/v1/files;x", "/health/../v1/files", "/v1/files%2f",
            "/v1%2Ffiles", "/./v1/files", "/health/v1/files", "/v1/files/content", "/v1/./files", "/v1/files?/health",
        ):  # fmt: skip
            answer = http.get(path)
            assert answer.status_code in {401, 404}, (path, answer.status_code)
            assert "data" not in answer.json()


HOSTS = [
    "localhost", "127.0.0.1", "[::1]", "evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.nip.io",
    "a/health", "a/health?", "a#", "a?/health", "user@localhost", "localhost@evil", "0.0.0.0", "2130706433", "127.1", "[::]",  # noqa: S104
    "[::ffff:7f00:1]", "localhost:99999", "localhost:80:80", ":80", "-", ".", "..", "/", "//", "\\", "%2f", "xn--80ak6aa92e.com",
    "a" * 300,
]  # fmt: skip


def test_no_host_header_opens_a_keyed_server(tenants: Tenants) -> None:
    assert len(HOSTS) == 30
    with tenants.http(None) as http:
        for method, path in routes(tenants):
            concrete = path.replace("{", "").replace("}", "")
            found = {
                http.request(method.upper(), concrete, headers={"host": host}).status_code for host in HOSTS
            }
            assert found <= {400, 401}, (method, path, found)


def test_a_server_without_keys_answers_to_its_machines_names_only(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, httpx2.Client(base_url=server.url) as http:
        for host in HOSTS:
            answer = http.get("/v1/files", headers={"host": host})
            assert answer.status_code == (200 if host in HOSTS[:3] else 400), host
            assert http.get("/health", headers={"host": host}).status_code == 200
        page = {"origin": "https://evil.example", "content-type": "text/plain"}
        forged = http.post("/v1/jobs", content=b"{}", headers=page)
        assert (forged.status_code, forged.json()["error"]["code"]) == (403, "foreign_origin")
        assert http.get("/v1/files", headers={"sec-fetch-site": "cross-site"}).status_code == 403
        own = {"origin": server.url, "sec-fetch-site": "same-origin"}
        assert http.post("/v1/jobs", json={}, headers=own).status_code == 200
        assert http.get("/v1/files", headers={"authorization": "Bearer anything"}).status_code == 200


def test_metrics_are_for_this_machine_and_the_default_project(tenants: Tenants) -> None:
    expected = {None: 401, tenants.revoked: 401, tenants.foreign: 403, tenants.admin: 200}
    for key, status in expected.items():
        with tenants.http(key) as http:
            assert http.get("/metrics", headers=tenants.from_elsewhere()).status_code == status
            other_name = {**tenants.from_elsewhere(), "host": "pronk.example"}
            assert http.get("/metrics", headers=other_name).status_code == status
            assert http.get("/metrics").status_code == 200


def test_shared_jobs_are_used_but_not_changed(tenants: Tenants) -> None:
    with tenants.http(tenants.mine) as owner, tenants.http(tenants.foreign) as guest:
        made = owner.post("/v1/jobs", json={"model": "lent", "shared_with": [tenants.beta]}).json()
        assert made["shared_with"] == [tenants.beta]
        seen = guest.get(f"/v1/jobs/{made['id']}").json()
        assert (seen["source"], seen["shared_with"], seen["model"]) == ("shared", None, "lent")
        assert "lent" in {model["id"] for model in guest.get("/v1/models").json()["data"]}
        assert guest.patch(f"/v1/jobs/{made['id']}", json={"model": "mine"}).status_code == 409
        assert guest.delete(f"/v1/jobs/{made['id']}").status_code == 409
        form: dict[str, Any] = {
            "files": {"file": ("a.jsonl", lines(1, model="lent"))},
            "data": {"purpose": "batch"},
        }
        body = {
            "input_file_id": guest.post("/v1/files", **form).json()["id"],
            "endpoint": CHAT,
            "completion_window": "24h",
        }
        assert guest.post("/v1/batches", json=body).json()["job_id"] == made["id"]
        owner.patch(f"/v1/jobs/{made['id']}", json={"shared_with": None})
        assert guest.get(f"/v1/jobs/{made['id']}").status_code == 404


def test_only_the_operator_defines_jobs_where_that_is_said(tmp_path: Path) -> None:
    with running_server(tmp_path, allow_project_jobs=False) as server:
        tenant = make_key(server, project=make_project(server, "alpha"))
        expected = {tenant: 403, make_key(server): 200}
        for key, status in expected.items():
            shown = {"authorization": f"Bearer {key}"}
            with httpx2.Client(base_url=server.url, headers=shown) as http:
                assert http.post("/v1/jobs", json={"id": "job-x"}).status_code == status
                assert http.patch("/v1/jobs/job-x", json={}).status_code == status
                assert http.delete("/v1/jobs/job-x").status_code == status
                assert http.get("/v1/jobs").status_code == 200


@pytest.mark.scale
@pytest.mark.timeout(900)
def test_time_tells_no_more_than_the_answer(tenants: Tenants) -> None:
    """Each route that reads, in turns with the name of another's thing and with one that never was: equal medians."""
    things = own_things(tenants)
    differences = {}
    with tenants.http(tenants.foreign) as http:
        for method, path in routes(tenants):
            name = next((name for name in FOREIGN_ROUTES if f"{{{name}}}" in path), None)
            if method != "get" or name not in things:
                continue
            urls = [path.replace(f"{{{name}}}", thing) for thing in (things[name], unknown(things[name]))]
            took: dict[str, list[float]] = {url: [] for url in urls}
            for turn in range(600):
                for url in urls[:: 1 if turn % 2 else -1]:
                    began = perf_counter()
                    http.get(url)
                    took[url].append(perf_counter() - began)
            theirs, nobodys = (median(took[url]) for url in urls)
            differences[path] = theirs / nobodys - 1
    log.info("timing", **{path: round(share, 3) for path, share in differences.items()})
    assert len(differences) >= 5
    assert max(map(abs, differences.values())) < 0.05, differences
