"""A keyed server with two projects, a key of every kind, and one of everything in one of them."""

from __future__ import annotations

from itertools import count
from typing import Any

import httpx2
from openai import OpenAI
from tests.conformance.server import Server

from pronk.cli.local import on_store
from pronk.domain.ids import DEFAULT_PROJECT, ProjectId, new_key_id, new_project_id
from pronk.domain.key import SHOWN, Key, Scope, hash_of, new_secret
from pronk.domain.project import Limits, Project
from pronk.store.store import Store

NOW = 1_000_000_000
INPUT = b"".join(
    b'{"custom_id":"r%d","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[]}}\n'
    % number
    for number in range(2)
)


def make_key(
    server: Server, *scopes: Scope, project: ProjectId = DEFAULT_PROJECT, expires_at: int | None = None
) -> str:
    """Make a key as the command does, beside the server."""
    secret = new_secret()
    key = Key(
        id=new_key_id(), project_id=project, name="", prefix=secret[:SHOWN], scopes=scopes or (Scope.WRITE,),
        created_at=NOW, expires_at=expires_at,
    )  # fmt: skip

    async def work(store: Store) -> None:
        await store.keys.add(key, hash_of(secret))

    on_store(server.settings, work)
    return secret


def make_project(server: Server, name: str, **limits: int) -> ProjectId:
    project = Project(id=new_project_id(), name=name, created_at=NOW, limits=Limits(**limits))

    async def work(store: Store) -> None:
        await store.projects.add(project)

    on_store(server.settings, work)
    return project.id


class Tenants:
    """A server with two projects and a key of every kind."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._elsewhere = count(1)
        self.one = httpx2.Client(base_url=server.url, timeout=20)
        self.admin = make_key(server, Scope.ADMIN)
        self.alpha = make_project(server, "alpha")
        self.beta = make_project(server, "beta")
        self.mine = make_key(server, Scope.ADMIN, project=self.alpha)
        self.reader = make_key(server, Scope.READ, project=self.alpha)
        self.writer = make_key(server, Scope.WRITE, project=self.alpha)
        self.foreign = make_key(server, Scope.ADMIN, project=self.beta)
        self.expired = make_key(server, Scope.ADMIN, project=self.alpha, expires_at=NOW)
        self.revoked = make_key(server, Scope.ADMIN, project=self.alpha)
        with self.http(self.mine) as http:
            key = next(
                key for key in http.get("/v1/keys").json()["data"] if key["prefix"] == self.revoked[:SHOWN]
            )
            assert http.post(f"/v1/keys/{key['id']}/revoke").status_code == 200

    def from_elsewhere(self) -> dict[str, str]:
        """Return a header by which a request comes from an address of its own, so that tests do not slow each other."""
        return {"x-forwarded-for": f"2001:db8:0:{next(self._elsewhere):x}::1"}

    def showing(self, key: str | None) -> dict[str, str]:
        """Return the headers of a request that shows a key, from an address of its own."""
        return {**self.from_elsewhere(), **({"authorization": f"Bearer {key}"} if key else {})}

    def http(self, key: str | None) -> httpx2.Client:
        headers: dict[str, str] = {"authorization": f"Bearer {key}"} if key else {}
        return httpx2.Client(base_url=self.server.url, timeout=20, headers=headers)

    def openai(self, key: str) -> OpenAI:
        return OpenAI(
            base_url=f"{self.server.url}/v1",
            api_key=key,
            max_retries=0,
            default_headers=self.from_elsewhere(),
        )


def own_things(tenants: Tenants) -> dict[str, str]:
    """Make one of everything in the project alpha."""
    with tenants.http(tenants.mine) as http:

        def made(path: str, **body: Any) -> str:
            answer = http.post(path, json=body)
            assert answer.status_code == 200, answer.text
            return str(answer.json()["id"])

        form: dict[str, Any] = {"files": {"file": ("a.jsonl", INPUT)}, "data": {"purpose": "batch"}}
        file_id = http.post("/v1/files", **form).json()["id"]
        job_id = made("/v1/jobs", model="only-alpha", use_case="secret words")
        return {
            "file_id": file_id,
            "batch_id": made(
                "/v1/batches",
                input_file_id=file_id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                job_id="job-default",
            ),
            "upload_id": made("/v1/uploads", bytes=3, filename="a", mime_type="x", purpose="batch"),
            "job_id": job_id,
            "key_id": http.get("/v1/keys").json()["data"][0]["id"],
            "project_id": tenants.alpha,
            "webhook_id": made("/v1/webhooks", url="https://example.org/pronk", events=["batch.completed"]),
            "model": "only-alpha",
        }
