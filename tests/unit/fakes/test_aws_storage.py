"""The fake's storage against obstore and boto3, two clients nobody here wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import boto3
import botocore.config
import obstore
import pytest
from botocore.exceptions import ClientError
from obstore.exceptions import PermissionDeniedError
from obstore.store import S3Store
from tests.fakes.aws import GARBAGE, RESET, SILENT, Aws, Credential, Fault, Latency, open_aws
from tests.fakes.http1 import Manners, Request

pytestmark = pytest.mark.anyio
ONE_TRY = {"max_retries": 0, "retry_timeout": timedelta(seconds=5)}
BIG = bytes(range(256)) * 2000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Aws, Credential]]:
    async with open_aws() as aws:
        aws.new_bucket("parts", "eu-west-1").put("a.png", BIG, "image/png")
        yield aws, aws.new_user()


def store(
    aws: Aws, user: Credential, bucket: str = "parts", region: str = "eu-west-1", **options: Any
) -> S3Store:
    return S3Store(
        bucket,
        endpoint=aws.url,
        region=region,
        access_key_id=user.access_key,
        secret_access_key=user.secret,
        client_options={"allow_http": True, "timeout": timedelta(seconds=options.pop("timeout", 20))},
        retry_config=options.pop("retry_config", ONE_TRY),
        **options,
    )


def client(aws: Aws, user: Credential, region: str = "eu-west-1", **options: Any) -> Any:
    style = botocore.config.Config(
        s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **options
    )
    keys = {"aws_access_key_id": user.access_key, "aws_secret_access_key": user.secret}
    return boto3.client("s3", endpoint_url=aws.url, region_name=region, config=style, **keys)


async def get(from_: S3Store, key: str) -> bytes:
    return bytes(await (await obstore.get_async(from_, key)).bytes_async())


async def test_reading_writing_ranges_and_conditions() -> None:
    async with served() as (aws, user):
        at = store(aws, user)
        assert await get(at, "a.png") == BIG
        assert bytes(await obstore.get_range_async(at, "a.png", start=10, end=20)) == BIG[10:20]
        await obstore.put_async(at, "large", BIG * 20, chunk_size=5 * 1024 * 1024)
        assert aws.count("CreateMultipartUpload") == 1
        assert await get(at, "large") == BIG * 20
        await obstore.put_async(at, "once", b"1", mode="create")
        with pytest.raises(obstore.exceptions.AlreadyExistsError):
            await obstore.put_async(at, "once", b"2", mode="create")
        head = await obstore.head_async(at, "a.png")
        assert head["size"] == len(BIG)
        await obstore.delete_async(at, ["once", "large"])
        with pytest.raises(FileNotFoundError):
            await get(at, "once")


async def test_boto3_reads_lists_and_writes() -> None:
    async with served() as (aws, user):
        for number in range(2_345):
            aws.buckets["parts"].put(f"many/{number:05d}/é #?+%20.png", b"")
        s3 = client(aws, user)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="parts", Prefix="many/")
        keys = await anyio.to_thread.run_sync(lambda: [o["Key"] for page in pages for o in page["Contents"]])
        assert len(keys) == 2_345
        assert keys[7] == "many/00007/é #?+%20.png"
        assert aws.count("ListObjectsV2") == 3
        rolled = await anyio.to_thread.run_sync(lambda: s3.list_objects_v2(Bucket="parts", Delimiter="/"))
        assert [p["Prefix"] for p in rolled["CommonPrefixes"]] == ["many/"]
        await anyio.to_thread.run_sync(lambda: s3.put_object(Bucket="parts", Key="a//b.png", Body=b"x"))
        assert aws.buckets["parts"].get("a//b.png").body == b"x"


@pytest.mark.parametrize(
    "key", ["a//b.png", "./x", "/lead", "trail/", "ü#?%20 +.png", "..", "a/../b", "~'()!*"]
)
async def test_keys_are_literal(key: str) -> None:
    async with served() as (aws, user):
        aws.buckets["parts"].put(key, key.encode())
        s3 = client(aws, user)

        def read() -> bytes:
            return bytes(s3.get_object(Bucket="parts", Key=key)["Body"].read())

        assert await anyio.to_thread.run_sync(read) == key.encode()


async def test_versions_stay() -> None:
    async with served() as (aws, user):
        bucket = aws.buckets["parts"]
        bucket.is_versioned = True
        first, _ = bucket.put("v.png", b"one"), bucket.put("v.png", b"two")
        bucket.delete("v.png")
        s3 = client(aws, user)

        def read(**which: str) -> bytes:
            return bytes(s3.get_object(Bucket="parts", Key="v.png", **which)["Body"].read())

        assert await anyio.to_thread.run_sync(lambda: read(VersionId=first.version_id)) == b"one"
        with pytest.raises(ClientError, match="NoSuchKey"):
            await anyio.to_thread.run_sync(read)
        with pytest.raises(ClientError, match="NoSuchVersion"):
            await anyio.to_thread.run_sync(lambda: read(VersionId="nonsense"))


@pytest.mark.parametrize(
    ("asked", "home", "expected"),
    [
        ("us-east-1", "eu-west-1", "AuthorizationHeaderMalformed"),
        ("eu-central-1", "eu-west-1", "Received redirect without LOCATION"),
    ],
)
async def test_the_wrong_region_is_told_the_right_one(asked: str, home: str, expected: str) -> None:
    async with served() as (aws, user):
        with pytest.raises(obstore.exceptions.BaseError, match=expected):
            await get(store(aws, user, region=asked), "a.png")
        s3 = client(aws, user, region=asked)
        assert await anyio.to_thread.run_sync(lambda: s3.head_bucket(Bucket="parts")["BucketRegion"]) == home


def test_an_unsigned_head_tells_the_region_whatever_its_status() -> None:
    aws = Aws()
    for name, public, status in (("shut", False, None), ("open", True, None), ("odd", False, 301)):
        bucket = aws.new_bucket(name, "ap-south-1")
        bucket.is_public, bucket.head_status = public, status
    replies = [
        aws.answer(Request("HEAD", f"/{name}", "", {}, b"", "h")) for name in ("shut", "open", "odd", "none")
    ]
    assert [reply.status for reply in replies] == [403, 200, 301, 404]
    assert [dict(r.headers).get("x-amz-bucket-region") for r in replies] == ["ap-south-1"] * 3 + [None]


def test_hosts_name_bucket_and_region() -> None:
    aws = Aws(bases=("s3.test",))
    aws.new_bucket("my.parts", "eu-west-1").put("k", b"v")
    aws.buckets["my.parts"].is_public = True

    def ask(host: str, path: str) -> int:
        return aws.answer(Request("GET", path, "", {}, b"", host)).status

    assert ask("my.parts.s3.eu-west-1.amazonaws.com", "/k") == 200
    assert ask("s3.eu-west-1.amazonaws.com", "/my.parts/k") == 200
    assert ask("my.parts.s3.test:9000", "/k") == 200
    assert ask("my.parts.s3.us-west-2.amazonaws.com", "/k") == 301
    assert ask("my.parts.s3.amazonaws.com", "/k") == 301


async def test_who_may_read() -> None:
    async with served() as (aws, user):
        aws.new_bucket("theirs", "eu-west-1", readers=()).put("k", b"v")
        pays = aws.new_bucket("pays", "eu-west-1")
        pays.is_requester_pays, _ = True, pays.put("k", b"v")
        with pytest.raises(PermissionDeniedError):
            await get(store(aws, user, "theirs"), "k")
        with pytest.raises(PermissionDeniedError):
            await get(store(aws, user, "pays"), "k")
        assert await get(store(aws, user, "pays", request_payer=True), "k") == b"v"
        with pytest.raises(FileNotFoundError, match="NoSuchBucket"):
            await get(store(aws, user, "nowhere"), "k")
        s3 = client(aws, user)
        with pytest.raises(ClientError, match="AccessDenied"):
            await anyio.to_thread.run_sync(
                lambda: s3.get_object(Bucket="parts", Key="a.png", ExpectedBucketOwner="999999999999")
            )


@pytest.mark.parametrize(
    "fault",
    [
        Fault(code="SlowDown"),
        Fault(code="InternalError"),
        Fault(manners=RESET),
        Fault(manners=SILENT),
        Fault(manners=Manners(cut_after=1000, ending="close")),
        Fault(manners=Manners(cut_after=1000, ending="reset")),
        Fault(manners=Manners(cut_after=1000, ending="stall")),
    ],
    ids=lambda fault: f"{fault.code or ''}{fault.manners or ''}"[:40],
)
async def test_a_fault_is_met_once_and_survived(fault: Fault) -> None:
    async with served() as (aws, user):
        aws.fail(fault)
        patient = {
            "max_retries": 3,
            "retry_timeout": timedelta(seconds=20),
            "backoff": {"init_backoff": timedelta(milliseconds=10)},
        }
        hangs = fault.manners is not None and fault.manners.ending == "stall"
        at = store(aws, user, retry_config=patient, timeout=0.5 if hangs else 20)
        assert await get(at, "a.png") == BIG
        assert fault.met == 1
        tries = aws.count("GetObject", "parts", "a.png")
        assert tries >= 2 if hangs else tries == 2


@pytest.mark.parametrize("manners", [GARBAGE, Manners(claimed_length=len(BIG) + 9, cut_after=10**7)])
async def test_nonsense_is_an_error_to_the_client(manners: Manners) -> None:
    async with served() as (aws, user):
        aws.fail(Fault(manners=manners))
        with pytest.raises(obstore.exceptions.BaseError):
            await get(store(aws, user), "a.png")


async def test_a_length_that_is_too_small_cuts_in_silence() -> None:
    async with served() as (aws, user):
        aws.fail(Fault(manners=Manners(claimed_length=500, cut_after=500)))
        assert await get(store(aws, user), "a.png") == BIG[:500]


async def test_the_nth_request_meets_a_fault() -> None:
    async with served() as (aws, user):
        aws.fail(Fault(code="SlowDown", skip=2, times=1))
        at = store(aws, user)
        assert await get(at, "a.png") == await get(at, "a.png") == BIG
        with pytest.raises(obstore.exceptions.BaseError, match="SlowDown"):
            await get(at, "a.png")
        assert await get(at, "a.png") == BIG


async def test_latency_waits_as_told() -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    async with open_aws(wait=note) as aws:
        aws.new_bucket("parts", "eu-west-1").put("a.png", BIG)
        aws.latency = Latency(seconds=0.2, straggler_share=0.1, straggler_seconds=3.0)
        at = store(aws, aws.new_user())
        for _ in range(100):
            await get(at, "a.png")
    assert 3 <= waits.count(3.0) <= 20
    assert waits.count(0.2) == 100 - waits.count(3.0)


async def test_a_client_that_goes_away_is_noticed() -> None:
    async with served() as (aws, user):
        aws.fail(Fault(manners=SILENT, times=None))
        with pytest.raises(obstore.exceptions.BaseError):
            await get(store(aws, user, timeout=0.3), "a.png")
        with anyio.fail_after(120):
            while aws.traffic.open_now or not aws.traffic.aborted_by_client:
                await anyio.lowlevel.checkpoint()
        assert aws.traffic.aborted_by_client == 1
