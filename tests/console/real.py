"""The demo's servers with more jobs: rclone's S3 over drawn pictures, ``pronk serve`` with a worker and the bundled engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import httpx2
from PIL import Image

from pronk.demo.buckets import fill_buckets
from pronk.demo.processes import Child
from pronk.demo.stack import S3, s3_server, server_url
from pronk.demo.tasks import Task, make_tasks
from pronk.engines.bundled import SHIPPED_NAME
from pronk.settings import child_environment

SECONDS: Final = 120.0
LARGE: Final = "large/hundred-megapixels.jpg"
CONFIG: Final = """
workers = 1
[engines.default]
launch = "bundled"
[jobs.default]
model = "{model}"
media = {{ max_pixels = 120_000_000 }}
price = {{ input_per_1m = 0.10, output_per_1m = 0.40 }}
use_case = "whatever one asks about pictures"
[jobs.shapes]
model = "{model}"
media = {{ allow = ["s3://shapes/*"] }}
[jobs.short]
model = "{model}"
defaults = {{ max_tokens = 8 }}
[jobs.eu]
model = "{model}"
media = {{ allow = ["s3://shapes-eu/*"] }}
"""


@dataclass(frozen=True)
class Real:
    """Running servers, and the tasks about the pictures in the buckets."""

    url: str
    s3: S3
    tasks: list[Task]
    folder: Path

    def lines(self, count: int) -> bytes:
        """Return the first tasks as an input file."""
        return "".join(task.line(SHIPPED_NAME) + "\n" for task in self.tasks[:count]).encode()


@contextmanager
def real_servers(folder: Path) -> Iterator[Real]:
    """Start everything, wait until it is ready, and end it with the block."""
    buckets = folder / "buckets"
    buckets.mkdir()
    rng = Random(2026)
    for name in ("shapes", "shapes-eu"):
        (buckets / name).mkdir()
    stored = fill_buckets(buckets, rng)
    (buckets / "shapes" / LARGE).parent.mkdir()
    Image.radial_gradient("L").resize((10_000, 10_000)).convert("RGB").save(
        buckets / "shapes" / LARGE, quality=70
    )
    config = folder / "pronk.toml"
    config.write_text(CONFIG.format(model=SHIPPED_NAME))
    with s3_server(buckets, folder / "s3.log") as s3:
        command = [sys.executable, "-m", "pronk", "serve", "--port", "0", "--log-format", "json", "--config", str(config), "--data-dir", str(folder / "data")]  # fmt: skip
        env = child_environment(s3.variables, without=("AWS_",))
        child = Child("the pronk server", command, env, folder / "server.log")
        try:
            url = child.wait_for(server_url, SECONDS)
            _await_ready(url)
            yield Real(url, s3, make_tasks(stored, rng), folder)
        finally:
            child.end()


def _await_ready(url: str) -> None:
    with httpx2.Client(base_url=url, timeout=30) as http:
        while http.get("/ready").status_code != 200:
            pass
