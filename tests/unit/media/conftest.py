"""A real S3 server, a web server, pictures, and a Resolver over them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.media.pictures import jpeg, png

KEY, SECRET = "reader", "reader-secret"


@pytest.fixture(scope="session")
def s3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the S3 server serves: each folder is a bucket."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / "parts" / "a b").mkdir(parents=True)
    (folder / "parts" / "one.png").write_bytes(png(8, 6))
    (folder / "parts" / "two.jpg").write_bytes(jpeg(64, 48))
    (folder / "parts" / "a b" / "c#d?e+%20ü&=.png").write_bytes(png(5, 5))
    (folder / "parts" / "cut.jpg").write_bytes(jpeg(64, 48)[:-20])
    (folder / "parts" / "text.png").write_bytes(b"this is no picture")
    (folder / "parts" / "empty.png").write_bytes(b"")
    (folder / "parts" / "big.png").write_bytes(png(400, 400))
    (folder / "secret").mkdir()
    (folder / "secret" / "one.png").write_bytes(png(7, 7))
    return folder


@pytest.fixture(scope="session")
def s3_url(s3_folder: Path) -> Iterator[str]:
    """The address of rclone serving that folder, checking signatures."""
    binary = shutil.which(
        "rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if binary is None:
        pytest.skip("rclone is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        binary,
        "serve",
        "s3",
        "--auth-key",
        f"{KEY},{SECRET}",
        "--addr",
        f"127.0.0.1:{port}",
        str(s3_folder),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


@pytest.fixture
def aws(s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The standard AWS variables pointing at the test server; nothing of the machine's own shines through."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return s3_url


def chat(*urls: str, **part: object) -> bytes:
    """A chat body that names these pictures."""
    parts = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}, **part} for url in urls]
    content = [*parts, {"type": "text", "text": "Which part is this?"}]
    return json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": content}], "temperature": 1.50}
    ).encode()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(port)
