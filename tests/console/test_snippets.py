"""What a page offers to copy does what it says: each snippet is run as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from html import unescape
from pathlib import Path

import duckdb
import httpx2
import pytest
from tests.console.conftest import run_batch
from tests.console.server import ConsoleServer, line

ASKED = "duckdb -c "
"""DuckDB's own command is no part of what is installed here; its question is asked by the library."""


@pytest.fixture
def snippets(server: ConsoleServer, http: httpx2.Client) -> tuple[str, dict[str, str]]:
    batch = run_batch(server.url, http, [line(1, "a blue circle", picture=False)], "Copied.jsonl")
    menu = http.get(f"/batches/{batch}").text.split("<summary>Copy as</summary>")[1].split("</details>")[0]
    buttons = menu.split('<button type="button" data-copy="')[1:]
    pairs = (button.split("</button>")[0].split('">') for button in buttons)
    return batch, {unescape(name): unescape(text) for text, name in pairs}


def test_each_snippet_does_what_its_name_says(
    http: httpx2.Client, snippets: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    batch, found = snippets
    before = {one["id"] for one in http.get("/v1/batches?limit=100").json()["data"]}
    said = {name: run(text, tmp_path) for name, text in found.items()}
    assert len(said) == 7
    assert all(batch in said[name] for name in said if name.startswith(("Look", "Watch")))
    made = {one["id"] for one in http.get("/v1/batches?limit=100").json()["data"]} - before
    assert len(made) == 2
    again = {one for one in made for name in said if name.startswith("Make") and one in said[name]}
    assert again == made
    assert "a blue circle" in (tmp_path / f"{batch}_output.jsonl").read_text("utf-8")
    assert "a blue circle" in said["Ask the answers, with DuckDB"]


def run(text: str, folder: Path) -> str:
    """Run a snippet as a reader would: a program in Python, a command in a shell."""
    if text.startswith(ASKED):
        answers = folder / text.split("'")[1]
        question = text.removeprefix(ASKED).strip('"').replace(answers.name, str(answers))
        return str(duckdb.execute(question).fetchall())
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-c", text] if text.startswith("import ") else ["sh", "-ec", text]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
