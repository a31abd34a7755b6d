"""``pronk bench``: the project's benches, where its checkout is."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import pronk
from pronk.cli.flags import new_app
from pronk.domain.errors import SettingsError

app = new_app(
    "bench",
    """
pronk bench
pronk bench text images --full
pronk bench text --ray ~/ray/bin/python --json figures.json
""",
)


@app.default
def bench(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Measure this server beside a bare loop of its parts and what people use instead.

    Name cases, or none for all: text, intake, memory, images, images-1mb, images-5mb, dedupe, media, api-latency, recovery, scale.
    --full takes the real sizes, --no-peers leaves the others out, --ray PYTHON adds Ray Data from an environment that has it,
    --json PATH keeps the figures.
    """
    checkout = Path(pronk.__file__).resolve().parents[2]
    if not (checkout / "bench" / "__main__.py").is_file():
        raise SettingsError(
            "the benches are not part of the package; run this from a checkout of the project"
        )
    sys.path.insert(0, str(checkout))
    code: int = import_module("bench.__main__").run(list(arguments))
    return code
