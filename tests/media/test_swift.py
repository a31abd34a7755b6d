"""OpenStack Swift's S3, which nobody here wrote, twice: each checks signatures and refuses those made for another region."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from tests.media.pictures import png
from tests.media.test_servers import NAMES, body_pictures, free_port
from tests.media.world import open_world

from pronk.domain.bucket import BucketRule
from pronk.domain.errors import MediaError

pytestmark = [pytest.mark.anyio, pytest.mark.swift]

ROOT = Path(__file__).parents[2] / ".swift" / "root"
REGIONS = ("eu-north-9", "ap-south-9")
USER, SECRET = "test:tester", "testing"
ODD = ("a//b.png", "deep//er.png", "end/")


@contextmanager
def swift(folder: Path, region: str) -> Iterator[str]:
    """Run a cluster of this region until the block ends; give its endpoint."""
    port = free_port()
    libraries = ":".join(str(path) for path in (ROOT / "usr" / "lib").glob("*-linux-gnu"))
    packages = str(ROOT / "usr" / "lib" / "python3" / "dist-packages")
    serve = str(Path(__file__).parent / "swift" / "serve.py")
    with (
        (folder.parent / f"{region}.log").open("wb") as log,
        subprocess.Popen(
            ["/usr/bin/python3", serve, str(folder), region, str(port)],
            stdout=subprocess.PIPE,
            stderr=log,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": packages, "LD_LIBRARY_PATH": libraries},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def fill(endpoint: str, region: str, shade: int) -> None:
    """Make a bucket named after the region, with a picture under every name."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=USER,
        aws_secret_access_key=SECRET,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )
    client.create_bucket(Bucket=f"shapes-{region}", CreateBucketConfiguration={"LocationConstraint": region})
    for number, name in enumerate(NAMES + ODD):
        client.put_object(Bucket=f"shapes-{region}", Key=name, Body=png(5, 5, (number, shade, 1)))


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two clusters; the endpoints in the order of REGIONS."""
    if not ROOT.exists():
        pytest.skip("OpenStack Swift is not unpacked; run scripts/setup-swift")
    folders = [tmp_path_factory.mktemp("swift") / region for region in REGIONS]
    with swift(folders[0], REGIONS[0]) as first, swift(folders[1], REGIONS[1]) as second:
        for shade, (endpoint, region) in enumerate(zip((first, second), REGIONS, strict=True)):
            fill(endpoint, region, shade)
        yield first, second


def keys(patch: pytest.MonkeyPatch, secret: str = SECRET) -> None:
    patch.setenv("AWS_ACCESS_KEY_ID", USER)
    patch.setenv("AWS_SECRET_ACCESS_KEY", secret)


@pytest.mark.parametrize("is_named", [True, False], ids=["region named", "region found"])
async def test_one_request_with_pictures_of_both(
    clusters: tuple[str, str], monkeypatch: pytest.MonkeyPatch, *, is_named: bool
) -> None:
    rules = [
        BucketRule(match=f"*{region}", endpoint=endpoint, region=region if is_named else None)
        for endpoint, region in zip(clusters, REGIONS, strict=True)
    ]
    async with open_world(monkeypatch, rules=rules) as world:
        keys(monkeypatch)
        wanted = [(number, shade) for number in range(len(NAMES + ODD)) for shade in range(2)]
        answer = await world.outcome(
            *(f"s3://shapes-{REGIONS[shade]}/{(NAMES + ODD)[number]}" for number, shade in wanted)
        )
        assert body_pictures(answer) == [png(5, 5, (number, shade, 1)) for number, shade in wanted]


async def test_what_they_refuse(clusters: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [BucketRule(match="*", endpoint=clusters[0], region=REGIONS[0])]
    async with open_world(monkeypatch, rules=rules) as world:
        keys(monkeypatch)
        codes = []
        for name in (f"shapes-{REGIONS[0]}/none.png", "no-such-bucket/a.png"):
            answer = await world.outcome(f"s3://{name}")
            codes.append(answer.code if isinstance(answer, MediaError) else "")
        assert codes == ["image_not_found"] * 2
    async with open_world(monkeypatch, rules=rules) as world:
        keys(monkeypatch, "wrong")
        denied = await world.outcome(f"s3://shapes-{REGIONS[0]}/plain.png")
        assert isinstance(denied, MediaError)
        assert denied.code == "image_access_denied"
