"""``pronk keys`` and ``pronk projects`` beside a running server, on its database."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import httpx2
import pytest
from tests.conformance.server import running_server
from tests.unit.cli.conftest import Run

from pronk.domain.key import Scope
from pronk.domain.project import Limits


@pytest.fixture
def run(command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line on the database below an empty folder; as `command` does."""
    monkeypatch.setenv("PRONK_DATA_DIR", str(tmp_path))
    return command


def test_a_running_server_hears_of_keys_at_once(run: Run, tmp_path: Path) -> None:
    with running_server(tmp_path) as server, httpx2.Client(base_url=server.url) as http:
        assert http.get("/v1/files").status_code == 200
        key = run("keys", "create", "--name", "laptop", "--scope", "admin")[1].strip()
        shown = {"authorization": f"Bearer {key}"}
        assert http.get("/v1/files").status_code == 401
        assert http.get("/v1/keys", headers=shown).json()["data"][0]["name"] == "laptop"
        made = json.loads(run("keys", "list", "--json")[1])["data"][0]
        assert (made["prefix"], made["scopes"]) == (key[:12], ["admin"])
        assert key not in run("keys", "list")[1]
        assert run("keys", "revoke", made["id"])[1] == f"revoked {made['id']} (laptop)\n"
        assert http.get("/v1/files", headers=shown).status_code == 401
        assert json.loads(run("keys", "list", "--json")[1])["data"][0]["revoked_at"]
        reader = json.loads(run("keys", "create", "--scope", "read", "--expires", "90d", "--json")[1])
        assert reader["expires_at"] - reader["created_at"] == 90 * 86_400
        assert http.get("/v1/keys", headers={"authorization": f"Bearer {reader['value']}"}).status_code == 403


def test_projects_have_keys_and_limits_of_their_own(run: Run) -> None:
    code, _, err = run("keys", "create", "--project", "vision")
    assert (code, "pronk projects create vision" in err) == (1, True)
    project = run("projects", "create", "vision")[1].strip()
    assert run("projects", "create", "vision")[0] == 1
    run("keys", "create", "--project", "vision", "--name", "nightly")
    run("keys", "create", "--project", project)
    found = json.loads(run("keys", "list", "--project", "vision", "--json")[1])["data"]
    assert [(key["name"], key["project_id"]) for key in found] == [("", project), ("nightly", project)]
    run("projects", "limit", "vision", "max_stored_bytes=5GB", "max_live_batches=0")
    run("projects", "limit", project, "max_live_batches=none")
    shown = json.loads(run("projects", "show", "vision", "--json")[1])
    assert (shown["limits"], shown["use"]["live_batches"]) == ({"max_stored_bytes": 5_000_000_000}, 0)
    assert "max_stored_bytes=5000000000" in run("projects", "list")[1]
    assert "everything" in run("projects", "list")[1]
    run("projects", "allow", "vision", "s3://vision/*", "s3://shared/*")
    shown = json.loads(run("projects", "show", "vision", "--json")[1])
    assert (shown["allow"], shown["limits"]["max_stored_bytes"]) == (
        ["s3://vision/*", "s3://shared/*"],
        5_000_000_000,
    )
    assert "s3://vision/*, s3://shared/*" in run("projects", "list")[1]
    for flag, allow in (("--nothing", []), ("--everything", None)):
        assert json.loads(run("projects", "allow", "vision", flag, "--json")[1])["allow"] == allow


@pytest.mark.parametrize(
    ("line", "code", "word"),
    [
        (("keys", "create", "--expires", "soon"), 2, "12h, 30d or 365d"),
        (("keys", "create", "--expires", "0d"), 2, "12h, 30d or 365d"),
        (("keys", "create", "--scope", "root"), 2, "root"),
        (("keys", "revoke", "key_none"), 1, "No such key"),
        (("projects", "limit", "default", "max_dogs=1"), 2, "max_live_batches"),
        (("projects", "limit", "default", "max_live_batches=-1"), 2, "0 or more"),
        (("projects", "limit", "default", "max_live_batches"), 2, "=NUMBER"),
        (("projects", "allow", "default"), 2, "--everything"),
        (("projects", "allow", "default", "*", "--nothing"), 2, "--nothing"),
        (("projects", "allow", "default", "vision/*"), 2, "s3://vision/*"),
        (("projects", "allow", "nobodys", "*"), 1, "pronk projects create nobodys"),
        (("projects", "show", "nobodys"), 1, "pronk projects create nobodys"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run: Run, line: tuple[str, ...], code: int, word: str) -> None:
    found, out, err = run(*line)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert word in err


def test_every_command_of_the_page_for_operators_runs(run: Run) -> None:
    page = (Path(__file__).parents[3] / "docs" / "keys.md").read_text("utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    commands = [line.removeprefix("pronk ") for block in blocks for line in block.splitlines()]
    assert len(commands) >= 8
    for command in commands:
        if "key_…" in command:
            newest = json.loads(run("keys", "list", "--json")[1])["data"][0]["id"]
            command = command.replace("key_…", newest)  # noqa: PLW2901
        assert run(*shlex.split(command))[0] == 0, command


def test_the_page_names_every_limit_and_code() -> None:
    page = (Path(__file__).parents[3] / "docs" / "keys.md").read_text("utf-8")
    for name in (*Limits.__struct_fields__, *map(str, Scope)):
        assert f"| `{name}` |" in page
    reference = (Path(__file__).parents[3] / "docs" / "reference.md").read_text("utf-8")
    codes = re.findall(r"(?:^\| \d{3} \||429) `(\w+)`", page, re.MULTILINE)
    assert len(codes) >= 11
    for code in codes:
        assert f"| `{code}` |" in reference
