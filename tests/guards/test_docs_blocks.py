"""No block of code of a page is left out: it runs, is read as what it is, or stands in the list of those that cannot, with a reason."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.system.guides import PAGES, READ, ROOT, RUN, UNRUN, Block, blocks, commands, reason

from pronk.settings import load

BLOCKS = [block for page in PAGES for block in blocks(page)]


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def test_every_page_of_the_repository_is_looked_at() -> None:
    skipped = {"node_modules", "demo-data", "build"}
    found = {
        path
        for path in ROOT.rglob("*.md")
        if not any(part in skipped or part[0] == "." for part in path.relative_to(ROOT).parts[:-1])
        and path.read_text("utf-8").count("```")
    }
    assert found <= set(PAGES), found - set(PAGES)


def test_every_block_says_what_it_is() -> None:
    assert {block.language for block in BLOCKS} <= RUN.keys() | READ.keys()
    assert len(of("sh", "python")) >= 40


def test_every_reason_not_to_run_is_needed() -> None:
    every = [command for block in of("sh") for command in commands(block)]
    for start, why in UNRUN.items():
        assert any(re.match(start, command) for command in every), f"nothing begins with {start}"
        assert why
    left = [command for command in every if reason(command)]
    assert len(left) <= 35, "more and more commands do not run"
    assert len(every) - len(left) >= 50


def test_commands_for_operators_run_without_a_server() -> None:
    """`tests/unit/cli/test_keys.py` runs the blocks of this one page."""
    assert {block.page for block in of("console")} == {"docs/keys.md"}


@pytest.mark.parametrize("block", of("toml"), ids=lambda block: block.page)
def test_settings_in_pages_are_settings(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "pronk.toml"
    has_engine = "[engines." in block.text or "engine = " not in block.text
    path.write_text(block.text if has_engine else f'[engines.qwen]\nurls = ["http://a/v1"]\n{block.text}')
    load(config=path, flags={}, environ={})


@pytest.mark.parametrize("block", of("json"), ids=lambda block: block.page)
def test_json_in_pages_is_json(block: Block) -> None:
    assert [json.loads(line) for line in block.text.splitlines()]


def test_the_role_of_the_page_may_do_what_the_server_does() -> None:
    """Each action that the code asks of a store is granted, and nothing that it never does."""
    (block,) = of("hcl")
    granted = set(re.findall(r'"(s3:\w+)"', block.text))
    assert granted == {
        "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListBucket",
    }  # fmt: skip
    assert block.text.count("{") == block.text.count("}")
