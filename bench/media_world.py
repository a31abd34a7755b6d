"""An S3 full of pictures in a process of its own, as near or as far as asked, for benches of the media path.

``python -m bench.media_world --help``; it prints one line of JSON with its address and keys, and serves until its input
ends. From Python: ``with media_world(Far(...)) as store:``.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields

import anyio
import anyio.to_thread
from tests.fakes.aws import Aws, Latency, open_aws

BUCKET = "pictures"
REGION = "eu-west-1"


@dataclass(frozen=True)
class Far:
    """What is in the store and how far away it is: seconds to the first byte, and the share that takes much longer."""

    pictures: int = 500
    picture_bytes: int = 100_000
    latency: float = 0.0
    straggler_share: float = 0.0
    straggler_seconds: float = 3.0
    seed: int = 1


@dataclass(frozen=True)
class Store:
    """Where the store is; keys of objects are ``0.jpg`` and so on in `bucket`."""

    url: str
    bucket: str
    region: str
    access_key: str
    secret: str

    def environment(self) -> dict[str, str]:
        """Return the settings by which AWS tools reach it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def media_world(far: Far) -> Iterator[Store]:
    """Run the store in a child process until the block ends."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in asdict(far).items()]
    command = (sys.executable, "-m", "bench.media_world", *flags)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None  # noqa: S101  # it was opened with pipes
        assert child.stdin is not None  # noqa: S101
        yield Store(**json.loads(child.stdout.readline()))
        child.stdin.close()


async def serve(far: Far) -> None:
    """Serve until the standard input ends."""
    aws = Aws()
    user = aws.new_user()
    bucket, chance = aws.new_bucket(BUCKET, REGION), random.Random(far.seed)
    for number in range(far.pictures):
        bucket.put(f"{number}.jpg", picture(far.picture_bytes, chance), "image/jpeg")
    aws.latency = Latency(
        seconds=far.latency,
        straggler_share=far.straggler_share,
        straggler_seconds=far.straggler_seconds,
        chance=chance,
    )
    async with open_aws(aws):
        print(json.dumps(asdict(Store(aws.url, BUCKET, REGION, user.access_key, user.secret))), flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)


def picture(size: int, chance: random.Random) -> bytes:
    """Return a JPEG of 640 x 480 by its headers whose rest is noise, `size` bytes long: nothing here decodes it."""
    start = b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\x00\x11\x08\x01\xe0\x02\x80\x03\x01\x22\0\x02\x11\x01\x03\x11\x01"
    scan = b"\xff\xda\x00\x0c\x03\x01\0\x02\x11\x03\x11\0\x3f\0"
    noise = chance.randbytes(size - len(start) - len(scan) - 2).replace(b"\xff", b"\xfe")
    return start + scan + noise + b"\xff\xd9"


def main() -> None:
    """Serve with the settings of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Far):
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, type=type(field.default), default=field.default)
    anyio.run(serve, Far(**vars(parser.parse_args())), backend_options={"use_uvloop": True})


if __name__ == "__main__":
    main()
