"""Every ``pronk …`` in the README and in docs is a command that there is, with flags that it has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from pronk.cli.main import COMMANDS, load_app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
STARTS = re.compile(r"(?:^|[\s`($|;])pronk ([a-z]+)\b([^`\n]*)")
STOPS = {"|", "||", "&&", "&", ";", ">", "2>"}


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the command and arguments of each line of a code block, and of code within a line."""
    is_block = False
    for line in text.replace("\\\n", " ").splitlines():
        if line.lstrip().startswith("```"):
            is_block = not is_block
        pieces = [line] if is_block else re.findall(r"`[^`]+`", line)
        for piece in pieces:
            if is_block and not re.match(
                r"\s*(\$ |[A-Z_]+=\S* |[A-Z]+=\$\(|kubectl .* -- |nohup )*pronk ", piece
            ):
                continue
            for match in STARTS.finditer(piece):
                yield match[1], _arguments(match[2])


def _arguments(text: str) -> list[str]:
    words = shlex.split(text.replace(")", " ") if "(" not in text else text, comments=True)
    for number, word in enumerate(words):
        if word in STOPS:
            return words[:number]
    return words


def _flags(app: App, words: list[str]) -> tuple[set[str], bool]:
    """Return the flags of the command that the words reach, and whether the group's own command was found."""
    _, apps, _ = app.parse_commands(words)
    last = apps[-1]
    if last.default_command is None:
        return set(), False
    arguments = last.assemble_argument_collection()
    return {name for argument in arguments for name in argument.names}, True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_there_with_their_flags(page: Path) -> None:
    for name, words in commands(page.read_text("utf-8")):
        assert name in COMMANDS, f"pronk {name}"
        flags, is_found = _flags(load_app(name), words)
        given = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        if is_found:
            assert given <= flags | {"--help"}, f"pronk {name} {words}"
        else:
            assert not words or words[0] == "…", f"pronk {name} has no command {words[0]}"


def test_the_check_sees_what_is_wrong() -> None:
    found = list(commands("```sh\npronk run in.jsonl --nonsense x | cat\n```\n`pronk nothing`\n"))
    assert found == [("run", ["in.jsonl", "--nonsense", "x"]), ("nothing", [])]
    flags, _ = _flags(load_app("run"), found[0][1])
    assert "--engine" in flags
    assert "--nonsense" not in flags
    assert "--watch" in _flags(load_app("batches"), ["create", "in.jsonl"])[0]
