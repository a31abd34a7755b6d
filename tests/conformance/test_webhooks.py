"""Webhooks over HTTP."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from standardwebhooks import Webhook as Verifier
from tests.conformance.conftest import lines
from tests.conformance.test_batches import create, until_ended

URL = "https://example.org/pronk"


def make(http: httpx2.Client, **more: Any) -> httpx2.Response:
    return http.post("/v1/webhooks", json={"url": URL, **more})


def test_a_webhook_is_made_listed_looked_at_and_deleted(http: httpx2.Client) -> None:
    made = make(http, events=["batch.failed", "batch.failed"]).json()
    Verifier(made["secret"])
    assert made["events"] == ["batch.failed"]
    shown = {name: value for name, value in made.items() if name != "secret"}
    assert http.get(f"/v1/webhooks/{made['id']}").json() == shown
    assert shown in http.get("/v1/webhooks").json()["data"]
    assert http.delete(f"/v1/webhooks/{made['id']}").json()["deleted"] is True
    for method in (http.get, http.delete):
        assert method(f"/v1/webhooks/{made['id']}").status_code == 404


def test_a_secret_may_be_brought_along(http: httpx2.Client) -> None:
    secret = "whsec_" + base64.b64encode(b"x" * 24).decode()
    made = make(http, secret=secret).json()
    assert made["secret"] == secret
    assert len(made["events"]) == 4
    http.delete(f"/v1/webhooks/{made['id']}")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "http://example.org"}, "url_not_allowed"),
        ({"url": 5}, "invalid_type"),
        ({"events": []}, "invalid_value"),
        ({"events": ["batch.started"]}, "invalid_value"),
        ({"secret": "short"}, "invalid_value"),
        ({"secret": "whsec_" + base64.b64encode(b"x" * 8).decode()}, "invalid_value"),
    ],
)
def test_wrong_webhooks_are_refused(http: httpx2.Client, body: dict[str, Any], code: str) -> None:
    refused = make(http, **body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, code), refused.text


def test_a_project_has_a_bounded_number_of_them(idle_http: httpx2.Client) -> None:
    ids = [make(idle_http).json()["id"] for _ in range(20)]
    refused = make(idle_http)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "too_many_webhooks")
    for webhook_id in ids:
        idle_http.delete(f"/v1/webhooks/{webhook_id}")


def test_deliveries_are_shown_by_webhook_and_by_batch(
    client: OpenAI, http: httpx2.Client, upload: Callable[[bytes], str]
) -> None:
    webhook = make(http).json()["id"]
    batches = [until_ended(client, create(client, upload(lines(1)))) for _ in range(3)]
    path = f"/v1/webhooks/{webhook}/deliveries"
    page = http.get(path, params={"limit": 2}).json()
    assert [each["batch_id"] for each in page["data"]] == [batches[2].id, batches[1].id]
    rest = http.get(path, params={"after": page["last_id"]}).json()
    assert ([each["batch_id"] for each in rest["data"]], rest["has_more"]) == ([batches[0].id], False)
    [delivery] = http.get(f"/v1/batches/{batches[0].id}/deliveries").json()["data"]
    assert (delivery["kind"], delivery["subject"], delivery["state"]) == (
        "event",
        "batch.completed",
        "pending",
    )
    assert (delivery["tries"], delivery["next_try_at"] >= delivery["created_at"]) == ([], True)
    http.delete(f"/v1/webhooks/{webhook}")
    assert http.get(f"/v1/batches/{batches[0].id}/deliveries").json()["data"] == []
