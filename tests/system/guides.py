"""The blocks of code of every page, what of them runs, and the few commands that cannot, each with its reason."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = (
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "src/pronk/engines/bundled/model/README.md",
    ROOT / "training/README.md",
)

RUN = {
    "sh": "run by test_guides",
    "python": "run by test_guides",
    "console": "run by tests/unit/cli/test_keys.py, without a server",
}
READ = {
    "toml": "loaded as settings by the guard of the pages",
    "json": "decoded by the guard of the pages",
    "text": "no code: what a command prints, or a drawing",
    "hcl": "takes an account of AWS; the guard of the pages compares it with what the server asks of a store",
}

UNRUN = {
    r"vllm (serve|run-batch) ": "takes a model of gigabytes; `make test-vllm` runs one beside pronk",
    r"python -m sglang\.launch_server ": "takes a GPU",
    r"pronk (serve|run) .*--launch (vllm|sglang) ": "takes a GPU",
    r"docker ": "takes Docker and images from a registry; tests/guards/test_deploy.py holds the files to the code",
    r"export PRONK_ENGINE=.* POSTGRES_PASSWORD=": "only for the commands of Docker after it",
    r"(ray start|pronk cluster|pronk serve --config pronk\.toml) ": "takes a Ray cluster; `make test-ray` runs one",
    r"(kubectl|helm) ": "takes a cluster; tests/guards/test_deploy.py holds the chart to the code",
    r"pip install ": "packages come with the environment of the tests",
    r"make ": "this suite and its siblings; the demo has tests/system/test_demo.py",
    r"pronk serve +# bundled engine": "tests/system/test_bundled_engine.py starts the bundled engine",
    r"(python3\.11 -m venv|train-venv/bin/python|export-venv/bin/python|python evaluate\.py) ": "trains for hours",
    r"export OMP_WAIT_POLICY=": "only for the training after it",
}


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    name = str(page.relative_to(ROOT))
    found = re.findall(r"^```(\S*)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [Block(name, language, text) for language, text in found]


def commands(block: Block) -> Iterator[str]:
    """Yield the commands of a shell block; one goes on over lines while a quote is open or a line ends in a backslash."""
    held = ""
    for line in block.text.splitlines():
        held += line
        if not line.endswith("\\") and _is_whole(held):
            if held.strip():
                yield held
            held = ""
        else:
            held += "\n"
    assert not held, f"{block.page}: {held!r} is no whole command"


def reason(command: str) -> str | None:
    """Return why a command is not run, None for one that is."""
    return next((why for start, why in UNRUN.items() if re.match(start, command)), None)


def script(page: Path) -> str:
    """Return the commands of a page that run, as one script, so that what one sets the next may use."""
    shells = (block for block in blocks(page) if block.language == "sh")
    return "\n".join(command for block in shells for command in commands(block) if reason(command) is None)


def code(page: Path) -> str:
    """Return the Python of a page as one program."""
    return "\n".join(block.text for block in blocks(page) if block.language == "python")


def _is_whole(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True
