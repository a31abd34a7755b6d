"""A preflight of a whole file from the page: fifty thousand references of a real S3 server, looked at in less than a minute."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.console.browser import Tab, needs_browser
from tests.console.real import real_servers

pytestmark = [needs_browser, pytest.mark.scale]
LINES = 50_000
MISSING = 100


def test_fifty_thousand_references_are_looked_at_in_a_minute(browser: Any, tmp_path: Path) -> None:
    with real_servers(tmp_path) as real:
        whole = tmp_path / "buckets/shapes/drawn"
        picture = next(whole.glob("*.png"))
        many = tmp_path / "buckets/shapes/many"
        many.mkdir()
        for number in range(LINES - MISSING):
            os.link(picture, many / f"{number}.png")
        source = tmp_path / "many.jsonl"
        with source.open("w") as lines:
            for number in range(LINES):
                content = [{"type": "image_url", "image_url": {"url": f"s3://shapes/many/{number}.png"}}]
                body = {"model": "pronk-tiny", "messages": [{"role": "user", "content": content}]}
                one = {
                    "custom_id": f"r{number}",
                    "method": "POST",
                    "url": "/v1/chat/completions",
                    "body": body,
                }
                lines.write(json.dumps(one) + "\n")
        tab = Tab(browser, real.url)
        page = tab.go("/new?job=job-default")
        page.set_input_files("#drop input[type=file]", source)
        page.wait_for_selector("#file:has-text('is up')", timeout=60_000)
        began = time.perf_counter()
        page.click("#check")
        page.wait_for_selector("#found", timeout=200_000)
        took = time.perf_counter() - began
        text = page.inner_text("#found")
        tab.close()
    sys.stdout.write(f"\n{LINES:,} lines with a reference each were looked at in {took:.1f} s\n")
    assert "50\u202f000" in text
    assert f"image_not_found\t{MISSING}" in text
    assert took < 60
