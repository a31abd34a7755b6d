"""``pronk worker``: more hands for a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from cyclopts import Parameter

from pronk.cli.flags import new_app
from pronk.settings import Settings, load

app = new_app("worker", "pronk worker --config pronk.toml")


@app.default
def worker(
    *,
    config: Annotated[Path | None, Parameter(help="TOML file with settings.")] = None,
    settings: Annotated[
        Literal["-"] | None,
        Parameter(
            show=False,
            allow_leading_hyphen=True,
            help="Read the settings as one line of JSON from standard input.",
        ),
    ] = None,
) -> int:
    """Start one more worker process on the database and storage of a server.

    The file must name the same database and storage as the server's; PRONK_… variables count as well.
    """
    from pronk.app.work import work

    if settings:
        work(handed_over(sys.stdin.buffer), parent=sys.stdin.fileno())
    else:
        work(load(config=config))
    return 0


def handed_over(pipe: BinaryIO) -> Settings:
    """Read the one line that a parent process writes; the pipe may stay open after it."""
    return Settings.from_json(pipe.readline())
