"""Keys over HTTP: who gets in, with the official SDK and without."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import httpx2
import pytest
from openai import AuthenticationError, NotFoundError, PermissionDeniedError
from tests.conformance.conftest import CHAT, lines
from tests.conformance.server import running_server
from tests.conformance.tenants import NOW, Tenants, make_key, own_things

from pronk.app.front import check_front
from pronk.domain.errors import SettingsError
from pronk.domain.ids import DEFAULT_PROJECT, new_key_id
from pronk.domain.key import SHOWN, Key, Scope, new_secret
from pronk.settings import Secret, Settings

TLS = Path(__file__).parents[1] / "fakes" / "tls"


def test_the_official_sdk_does_the_whole_round_trip_with_a_key(tenants: Tenants) -> None:
    with tenants.openai(tenants.writer) as client:
        file = client.files.create(file=("input.jsonl", lines(3)), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
        while batch.status not in {"completed", "failed"}:
            batch = client.batches.retrieve(batch.id)
        assert batch.status == "completed"
        answers = client.files.content(batch.output_file_id or "").text.splitlines()
        assert [json.loads(line)["custom_id"] for line in answers] == ["r1", "r2", "r3"]
        answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
        assert answer.choices
    with tenants.openai(tenants.foreign) as stranger:
        for ask in (
            lambda: stranger.batches.retrieve(batch.id),
            lambda: stranger.files.content(batch.output_file_id or ""),
            lambda: stranger.files.delete(file.id),
        ):
            with pytest.raises(NotFoundError):
                ask()
        assert batch.id not in {each.id for each in stranger.batches.list()}


@pytest.mark.parametrize("kind", ["expired", "revoked", "unknown", "garbled"])
def test_the_sdk_raises_for_keys_that_open_nothing(tenants: Tenants, kind: str) -> None:
    key = {"expired": tenants.expired, "revoked": tenants.revoked, "garbled": tenants.mine[:-1] + "!"}.get(
        kind, new_secret()
    )
    with tenants.openai(key) as client, pytest.raises(AuthenticationError) as refused:
        client.files.list()
    assert refused.value.code == "invalid_api_key"
    assert key[20:] not in str(refused.value)
    assert refused.value.response.headers["www-authenticate"] == "Bearer"


def test_the_sdk_raises_for_a_scope_that_is_lacking(tenants: Tenants) -> None:
    with tenants.openai(tenants.reader) as client:
        assert client.files.list() is not None
        for ask in (
            lambda: client.files.create(file=("a", b"x"), purpose="vision"),
            lambda: client.batches.cancel("batch_1"),
            lambda: client.chat.completions.create(model="m", messages=[]),
        ):
            with pytest.raises(PermissionDeniedError):
                ask()


def test_from_the_first_key_on_everybody_needs_one(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, httpx2.Client(base_url=server.url) as http:
        made = http.post("/v1/keys", json={"name": "first", "scopes": ["admin"]}).json()
        assert http.get("/v1/files").status_code == 401
        headers = {"authorization": f"Bearer {made['value']}"}
        assert http.get("/v1/files", headers=headers).status_code == 200
        shown = http.get(f"/v1/keys/{made['id']}", headers=headers).json()
        assert made["value"] not in json.dumps(shown)
        assert (shown["prefix"], shown["last_used_at"] is not None) == (made["value"][:SHOWN], True)
        assert http.post(f"/v1/keys/{made['id']}/revoke", headers=headers).json()["revoked_at"]
        assert http.get("/v1/files", headers=headers).status_code == 401
        assert http.get("/v1/files").status_code == 401


def test_anonymous_callers_are_let_in_where_that_is_said_but_manage_nothing(tmp_path: Path) -> None:
    with (
        running_server(tmp_path, allow_anonymous=True) as server,
        httpx2.Client(base_url=server.url) as http,
    ):
        assert http.get("/v1/files", headers={"host": "pronk.example"}).status_code == 200
        assert http.post("/v1/keys", json={"name": "x"}).status_code == 403
        key = make_key(server)
        assert http.get("/v1/files").status_code == 200
        assert http.get("/v1/files", headers={"authorization": f"Bearer {key}"}).status_code == 200
        assert http.get("/v1/files", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_who_did_what_is_noted(tenants: Tenants) -> None:
    things = own_things(tenants)
    with tenants.http(tenants.mine) as http:
        http.delete(f"/v1/jobs/{things['job_id']}")
        http.post(f"/v1/uploads/{things['upload_id']}/cancel")
        events = http.get("/v1/audit", params={"limit": 100}).json()["data"]
        noted = {(event["action"], event["object_id"]) for event in events}
        assert noted >= {
            ("file.create", things["file_id"]), ("batch.create", things["batch_id"]), ("job.create", things["job_id"]),
            ("job.delete", things["job_id"]), ("upload.create", things["upload_id"]), ("upload.cancel", things["upload_id"]),
        }  # fmt: skip
        assert {event["project_id"] for event in events} == {tenants.alpha}
        mine = next(
            key["id"] for key in http.get("/v1/keys").json()["data"] if key["prefix"] == tenants.mine[:SHOWN]
        )
        own = [event for event in events if event["object_id"] in things.values()]
        assert {event["key_id"] for event in own if event["action"] != "key.revoke"} == {mine}
        assert {event["address"] for event in own} == {"127.0.0.1"}
        only = http.get("/v1/audit", params={"action": "job.delete", "limit": 1}).json()
        assert only["data"][0]["object_id"] == things["job_id"]
    with tenants.http(tenants.admin) as http:
        projects = {event["project_id"] for event in http.get("/v1/audit?limit=100").json()["data"]}
        assert tenants.alpha in projects


def test_it_speaks_https_with_its_certificate(tmp_path: Path) -> None:
    certificate = TLS / "site.pem"
    trusted = ssl.create_default_context(cafile=str(TLS / "authority.pem"))
    trusted.check_hostname = False
    with (
        running_server(tmp_path, tls_cert=certificate, tls_key=certificate) as server,
        httpx2.Client(base_url=server.url, verify=trusted) as http,
    ):
        assert server.url.startswith("https://")
        assert http.get("/v1/files").status_code == 200


@pytest.mark.anyio
async def test_a_server_that_others_reach_needs_keys(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, database=Secret(f"sqlite:///{tmp_path}/pronk.db"), storage=f"file://{tmp_path}/blobs",
        host="0.0.0.0",  # noqa: S104
    )  # fmt: skip
    with pytest.raises(SettingsError, match="pronk keys create"):
        await check_front(settings)
    from pronk.app.parts import open_store

    async with open_store(settings) as store:
        key = Key(
            id=new_key_id(),
            project_id=DEFAULT_PROJECT,
            name="",
            prefix="",
            scopes=(Scope.ADMIN,),
            created_at=NOW,
        )
        await store.keys.add(key, "hash")
    await check_front(settings)


@pytest.mark.anyio
async def test_a_certificate_that_cannot_be_used_is_said_before_anything_starts(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    for settings, word in (
        (Settings(data_dir=tmp_path, tls_cert=bad, tls_key=bad), "cannot be read"),
        (
            Settings(data_dir=tmp_path, tls_cert=TLS / "site.pem", tls_key=TLS / "authority.pem"),
            "not a certificate",
        ),
    ):
        with pytest.raises(SettingsError, match=word):
            await check_front(settings)
        assert Settings.from_json(settings.to_json()) == settings
