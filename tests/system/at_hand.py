"""What stands in the place of two commands while guides run: ``serve``, which ends when it listens, and ``curl``.

``curl`` puts the ids that it saw last where a page writes ``file-…`` and ``batch_…``, and fails when the server does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from pronk.demo.processes import Child
from pronk.demo.stack import server_url

IDS = re.compile(r"(file-|batch_)[0-9a-z]+")


def serve(arguments: list[str]) -> int:
    """Run ``pronk serve`` on a free port until it listens."""
    command = [sys.executable, "-m", "pronk", "serve", *arguments, "--port", "0", "--log-format", "json"]
    child = Child("the server of the page", command, os.environ, Path("serve.log"))
    try:
        child.wait_for(server_url, 60)
    finally:
        child.end()
    return 0


def curl(arguments: list[str]) -> int:
    """Run ``curl`` with the ids that were seen last."""
    notes = Path("seen-ids")
    seen = dict(line.split() for line in notes.read_text().splitlines()) if notes.exists() else {}
    known = [re.sub(r"(file-|batch_)…", lambda found: seen[found[1]], text) for text in arguments]
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail-with-body", *known],
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    seen |= {found[1]: found[0] for found in IDS.finditer(done.stdout)}
    notes.write_text("".join(f"{kind} {name}\n" for kind, name in seen.items()))
    sys.stdout.write(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit({"serve": serve, "curl": curl}[sys.argv[1]](sys.argv[2:]))
