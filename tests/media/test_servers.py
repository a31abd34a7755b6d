"""Stores that nobody here wrote: rclone for s3://, Azurite for az://, and Google's protocol for gs://."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from email.utils import formatdate
from pathlib import Path

import aiohttp
import anyio
import obstore
import pytest
from obstore.store import AzureStore
from tests.fakes.http1 import Reply
from tests.media.pictures import png
from tests.media.world import open_world

from pronk.domain.bucket import BucketRule
from pronk.domain.errors import MediaError
from pronk.media.line import Resolved

pytestmark = pytest.mark.anyio

KEY, SECRET = "AKIDRCLONE", "rclone-secret"
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
NAMES = ("plain.png", "deep/er/a b.png", "ü+%20#?.png", "p%2Fq.png", "'(a)!*~.png")

HEADERS = (("etag", '"1"'), ("last-modified", "Mon, 02 Nov 2026 08:00:00 GMT"), ("content-type", "image/png"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str]) -> Iterator[None]:
    """Run a server until the block ends."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


async def listening(port: int) -> None:
    """Wait until something accepts connections there."""
    with anyio.fail_after(30):
        while True:
            try:
                async with await anyio.connect_tcp("127.0.0.1", port):
                    return
            except OSError:
                await anyio.sleep(0.05)


def body_pictures(answer: MediaError | Resolved) -> list[bytes]:
    assert isinstance(answer, Resolved), answer.message
    parts = json.loads(answer.body)["messages"][0]["content"][1:]
    return [base64.b64decode(part["image_url"]["url"].partition(",")[2]) for part in parts]


@asynccontextmanager
async def rclone(folder: Path) -> AsyncIterator[str]:
    """Serve the folders below `folder` as buckets; give the endpoint."""
    program = shutil.which("rclone", path=f"{Path(sys.executable).parent}:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("rclone is not installed")
    port = free_port()
    flags = ("--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}", "--config", "/dev/null")
    with running((program, "serve", "s3", *flags, str(folder))):
        await listening(port)
        yield f"http://127.0.0.1:{port}"


async def test_rclone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        path = tmp_path / "store" / "shapes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(5, 5, (number, 1, 1)))
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(f"[local]\naws_access_key_id={KEY}\naws_secret_access_key={SECRET}\n")
    wrong.write_text(f"[local]\naws_access_key_id={KEY}\naws_secret_access_key=other\n")
    async with rclone(tmp_path / "store") as endpoint:
        rules = (BucketRule(match="shapes", endpoint=endpoint, profile="local"),)
        async with open_world(monkeypatch, rules=rules) as world:
            monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(right))
            answer = await world.outcome(*(f"s3://shapes/{name}" for name in NAMES))
            assert body_pictures(answer) == [png(5, 5, (number, 1, 1)) for number in range(len(NAMES))]
            missing = await world.outcome("s3://shapes/none.png")
            assert isinstance(missing, MediaError)
            assert missing.code == "image_not_found"
        async with open_world(monkeypatch, rules=rules) as world:
            monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(wrong))
            refused = await world.outcome("s3://shapes/plain.png")
            assert isinstance(refused, MediaError)
            assert refused.code == "image_access_denied"


async def test_googles_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        base = f"http://127.0.0.2:{world.site.port}"
        account = {
            "gcs_base_url": base,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(account))
        for spelling in ("/shapes/deep/a%20b.png", "/shapes/deep%2Fa%20b%2Epng"):
            world.site.pages[spelling] = Reply(200, HEADERS, png())
        answers = await world.outcomes([["gs://shapes/deep/a b.png"], ["gs://shapes/none.png"]])
        assert body_pictures(answers[0]) == [png()]
        assert isinstance(answers[1], MediaError)
        assert answers[1].code == "image_not_found"


@pytest.fixture(scope="session")
def azurite(pytestconfig: pytest.Config) -> Path:
    """Return the program, installed once into pytest's cache folder."""
    npm, cache = shutil.which("npm"), pytestconfig.cache
    if npm is None or cache is None:
        pytest.skip("npm is not installed")
    folder = cache.mkdir("azurite")
    program = folder / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        subprocess.run(
            (npm, "install", "--no-audit", "--no-fund", "--prefix", folder, "azurite"),
            check=True,
            timeout=600,
        )
    return program


@pytest.mark.azurite
@pytest.mark.timeout(700)
async def test_azurite(azurite: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
    flags = (
        "--blobPort",
        str(port),
        "--location",
        str(tmp_path),
        "--silent",
        "--skipApiVersionCheck",
        "--loose",
    )
    with running((str(azurite), *flags)):
        await listening(port)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", AZURE_ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY)
        store = AzureStore("shapes", endpoint=endpoint, client_options={"allow_http": True})
        await make_container(endpoint)
        for number, name in enumerate(NAMES):
            await obstore.put_async(store, name, png(5, 5, (number, 1, 1)))
        rules = (BucketRule(match="shapes", endpoint=endpoint),)
        async with open_world(monkeypatch, rules=rules) as world:
            answer = await world.outcome(*(f"az://shapes/{name}" for name in NAMES))
            assert body_pictures(answer) == [png(5, 5, (number, 1, 1)) for number in range(len(NAMES))]
            missing = await world.outcome("az://shapes/none.png")
            assert isinstance(missing, MediaError)
            assert missing.code == "image_not_found"


async def make_container(endpoint: str) -> None:
    """Create the container by a request that is signed as Azure's shared keys are."""
    date, path = formatdate(usegmt=True), endpoint.partition("//")[2].partition("/")[2]
    headers = {"x-ms-date": date, "x-ms-version": "2021-08-06"}
    canonical = "\n".join(f"{name}:{value}" for name, value in sorted(headers.items()))
    resource = f"/{AZURE_ACCOUNT}/{path}/shapes\nrestype:container"
    text = "\n".join(("PUT", *[""] * 11, canonical, resource))
    digest = hmac.digest(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256)
    headers["Authorization"] = f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}"
    async with (
        aiohttp.ClientSession() as client,
        client.put(
            f"{endpoint}/shapes?restype=container", headers=headers, skip_auto_headers=("Content-Type",)
        ) as made,
    ):
        assert made.status == 201, await made.text()
